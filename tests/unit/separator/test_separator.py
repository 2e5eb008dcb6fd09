"""The separator as a whole: demucs' answers, blocks, channels, hostile input."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from fractions import Fraction

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from soundsep import (
    AudioError,
    ConfigError,
    Separation,
    Separator,
    SeparatorConfig,
    ShapeError,
    SoundsepWarning,
    WeightsError,
)
from soundsep.models.separation import SEPARATION_NETWORKS
from soundsep.separator.config import NETWORK_BYTES

SOURCES = ["drums", "bass", "vocals"]
RATE = 8_000


def htdemucs(segment: Fraction = Fraction(39, 50)) -> nn.Module:
    from demucs.htdemucs import HTDemucs

    return HTDemucs(
        SOURCES,
        channels=8,
        depth=3,
        nfft=512,
        t_layers=1,
        t_heads=2,
        samplerate=RATE,
        segment=segment,
    ).eval()


def hdemucs() -> nn.Module:
    from demucs.hdemucs import HDemucs

    return HDemucs(SOURCES, channels=8, samplerate=RATE, segment=1).eval()


class Bands(nn.Module):
    """Two sources that add up to the mixture: a moving average, and the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.ones(1, 1, 9) / 9)
        self.lengths: list[int] = []

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        self.lengths.append(mixture.shape[-1])
        batch, n_channels, n = mixture.shape
        flat = mixture.reshape(batch * n_channels, 1, n)
        low = nn.functional.conv1d(flat, self.kernel, padding=4).view_as(mixture)
        return torch.stack((low, mixture - low), dim=1)


def config(**changes: object) -> SeparatorConfig:
    defaults = {
        "sources": ("low", "high"),
        "sample_rate": RATE,
        "n_channels": 1,
        "segment_seconds": 0.5,
    }
    return SeparatorConfig(**{**defaults, **changes})


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("n", [2, 50, 3_999, 4_000, 4_001, 7_000, 16_000, 33_333])
def test_a_network_hears_whole_segments_and_no_more_of_them_than_needed(n):
    network = Bands()
    result = Separator(network, config())(noise(n))
    assert result.audio.shape == (2, 1, n)
    torch.testing.assert_close(result.audio.sum(dim=0), result.mixture)
    n_needed = 1 + max(0, -(-(n - 4_000) // 3_000))
    assert network.lengths == [4_000] * n_needed


def test_sources_keep_their_order_where_the_network_does_not():
    class Shuffled(Bands):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            sources = super().forward(mixture)
            return sources.flip(1) if len(self.lengths) % 3 == 2 else sources

    mixture = noise(40_000)
    expected = Separator(Bands(), config())(mixture).audio
    torch.testing.assert_close(
        Separator(Shuffled(), config(interchangeable=True))(mixture).audio, expected
    )
    assert (Separator(Shuffled(), config())(mixture).audio - expected).abs().max() > 0.1


@pytest.mark.parametrize("n", [300, 4_000, 16_000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_an_offset_changes_no_source_but_for_an_equal_part_of_it(n, n_channels):
    class Strange(Bands):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            scale = mixture.square().mean().sqrt()  # as networks do that scale what they hear
            return scale * super().forward(mixture / scale).tanh()

    separator = Separator(Strange(), config(n_channels=n_channels))
    recording = noise(n_channels, n)
    recording -= recording.mean(dim=1, keepdim=True)
    offset = torch.tensor([[0.3], [-0.05]])[:n_channels]
    moved = separator(recording + offset)
    expected = separator(recording).audio + offset / 2
    # Segments have small means of their own, which stay where there is no offset beside them.
    torch.testing.assert_close(moved.audio, expected, atol=5e-3, rtol=0)
    whole = Separator(Bands(), config(n_channels=n_channels))(recording + offset)
    torch.testing.assert_close(whole.audio.sum(dim=0), whole.mixture)


def test_channels_and_rates():
    mono, stereo = Separator(Bands(), config()), Separator(Bands(), config(n_channels=2))
    one, two, four = noise(9_000), noise(2, 9_000), noise(4, 9_000)
    assert stereo(two).audio.shape == (2, 2, 9_000)
    assert stereo(one).audio.shape == (2, 1, 9_000)
    for separator, recording in ((mono, two), (mono, four), (stereo, four)):
        result = separator(recording)
        torch.testing.assert_close(result.mixture, recording.mean(dim=0, keepdim=True))
        torch.testing.assert_close(result.audio, mono(recording.mean(dim=0)).audio)
    torch.testing.assert_close(stereo(one).audio, mono(one).audio)
    resampled = mono(noise(44_100), 44_100)
    assert resampled.sample_rate == RATE
    assert resampled.audio.shape == (2, 1, RATE)


@pytest.mark.filterwarnings("ignore:.*digital silence")
def test_silence_is_silence_and_two_samples_are_a_sound():
    for network in (htdemucs(), hdemucs()):
        separator = Separator(network)
        assert not separator(torch.zeros(2, 10_000)).audio.any()
        assert separator(torch.tensor([1.0, -1.0])).audio.isfinite().all()
    quiet = Separator(Bands(), config())
    for silence in (torch.zeros(10_000), torch.full((10_000,), -0.3), torch.ones(1)):
        assert not quiet(silence).audio.any()
    assert quiet.network.lengths == []


def test_what_a_network_must_not_answer():
    class Wrong(nn.Module):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            return mixture

    class Diverged(Bands):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            return super().forward(mixture) / 0

    with pytest.raises(ShapeError, match="n_sources"):
        Separator(Wrong(), config())(noise(100))
    with pytest.raises(AudioError, match="NaN"):
        Separator(Diverged(), config())(noise(100))


@pytest.mark.parametrize(
    ("convert", "found"),
    [
        (lambda sources: tuple(sources[0]), "tuple"),
        (lambda sources: None, "NoneType"),
        (lambda sources: sources.numpy(), "ndarray"),
        (lambda sources: sources.int(), r"\(1, 2, 1, \d+\) of torch.int32"),
        (lambda sources: sources + 0j, r"\(1, 2, 1, \d+\) of torch.complex64"),
    ],
)
def test_what_is_no_sound_is_refused(convert, found):
    class Wrong(Bands):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            return convert(super().forward(mixture))

    with pytest.raises(ShapeError, match=f"gave {found} for"):
        Separator(Wrong(), config())(noise(100))


def test_every_call_puts_the_network_into_evaluation_mode():
    """One that was trained between two calls answered by chance, and learnt from what it heard."""
    layers = (nn.Conv1d(1, 2, 1), nn.Dropout(), nn.BatchNorm1d(2), nn.Unflatten(1, (2, 1)))
    network = nn.Sequential(*layers)
    separator, waveform = Separator(network, config()), noise(10_000)
    first = separator(waveform).audio
    network.train()
    assert torch.equal(separator(waveform).audio, first)
    assert not network[2].num_batches_tracked


def test_nan_is_refused():
    with pytest.raises(AudioError, match="NaN"):
        Separator(Bands(), config())(torch.tensor([0.0, float("nan")]))


def test_only_networks_of_ours_are_laid_out_channels_last():
    torch.manual_seed(0)
    network = SEPARATION_NETWORKS["mask-unet"](2).eval()
    settings = config(network="mask-unet", interchangeable=True)
    mixture = noise(settings.segment_samples)
    with torch.no_grad():
        expected = network(mixture.view(1, 1, -1))[0]
    separator = Separator(network, settings)
    torch.testing.assert_close(
        separator(mixture).audio, expected, atol=1e-5 * expected.abs().max().item(), rtol=0
    )
    assert network.stem.weight.is_contiguous(memory_format=torch.channels_last)
    assert not network.stem.weight.is_contiguous()
    for foreign in (htdemucs(), hdemucs()):
        Separator(foreign)
        assert all(weight.is_contiguous() for weight in foreign.parameters())


def test_a_foreign_network_needs_a_config():
    with pytest.raises(ConfigError, match="needs a SeparatorConfig"):
        Separator(Bands())
    with pytest.raises(ConfigError, match="device"):
        Separator(Bands(), config(), device="nonesuch")


def test_a_result_by_name():
    result = Separator(Bands(), config())(noise(8_000))
    low, high = result
    assert torch.equal(result["high"], high)
    assert low.shape == (1, 8_000)
    assert len(result) == 2
    assert str(result).splitlines()[0] == "2 sources, 1.0 s, 8000 Hz, 1 channel"
    assert repr(result) == "Separation(low, high; 1.0 s, 8000 Hz)"
    with pytest.raises(ConfigError, match="no source 'vocals'; there are low, high"):
        result["vocals"]


def test_levels_are_told_without_an_offset():
    wave = torch.tensor([0.1, -0.1]).repeat(1, 100)
    audio = torch.stack((wave + 0.3, torch.full_like(wave, 0.3)))
    result = Separation(
        sources=("dog", "rain"), audio=audio, sample_rate=RATE, mixture=audio.sum(dim=0)
    )
    assert [*map(str.split, str(result).splitlines()[1:])] == [
        ["dog", "-20.0", "dBFS"],
        ["rain", "silent"],
    ]


def test_saved_and_loaded(tmp_path, monkeypatch):
    monkeypatch.setitem(SEPARATION_NETWORKS, "bands", lambda n_sources: Bands())
    separator = Separator(Bands(), config(network="bands", interchangeable=True))
    separator.network.kernel.mul_(0.5)
    separator.save_pretrained(tmp_path / "model")
    loaded = Separator.from_pretrained(tmp_path / "model")
    assert loaded.config == separator.config
    mixture = noise(10_000)
    assert torch.equal(loaded(mixture).audio, separator(mixture).audio)

    with pytest.raises(ConfigError, match="network"):
        Separator(Bands(), config()).save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="not 'mask-unet'"):
        Separator(Bands(), config(network="mask-unet")).save_pretrained(tmp_path / "other")
    text = (tmp_path / "model" / "config.json").read_text()
    (tmp_path / "model" / "config.json").write_text(text.replace("bands", "os.system"))
    with pytest.raises(ConfigError, match=r"os\.system"):
        Separator.from_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(text.replace("-separator", "-classifier"))
    with pytest.raises(WeightsError, match="soundsep-classifier"):
        Separator.from_pretrained(tmp_path / "model")
    with pytest.raises(ConfigError, match="htdemucs_ft"):
        Separator.from_pretrained("nonesuch")
    for name in ("x" * 5_000, "~nobody-of-that-name/model", "\0"):
        with pytest.raises((ConfigError, WeightsError)):
            Separator.from_pretrained(name)


def test_a_separator_can_be_sent_to_another_process():
    separator = pickle.loads(pickle.dumps(Separator(Bands(), config())))
    mixture = noise(10_000)
    assert torch.equal(separator(mixture).audio, Separator(Bands(), config())(mixture).audio)


PEAK = """
import resource, sys, torch
from soundsep import Separator, SeparatorConfig
class Halves(torch.nn.Module):
    def forward(self, mixture):
        return torch.stack((mixture, mixture), dim=1) / 2
config = SeparatorConfig(
    sources=("a", "b"), sample_rate=1_000, n_channels=1, segment_seconds=100.0
)
separator = Separator(Halves(), config)
separator.separate_to_dir(sys.argv[1], sys.argv[2], progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_ten_hours_take_the_memory_of_ten_minutes(tmp_path):
    peaks = []
    for minutes in (10, 600):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 1_000, 1) as file:
            for _ in range(minutes):
                file.write(np.sin(np.arange(60_000)))
        done = subprocess.run(
            [sys.executable, "-c", PEAK, path, tmp_path / str(minutes)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
        assert soundfile.info(tmp_path / str(minutes) / "a.wav").frames == minutes * 60_000
    assert peaks[1] - peaks[0] < 20, peaks  # MiB; 10 h are 137 MiB of samples


def test_every_network_says_what_memory_it_needs():
    assert set(NETWORK_BYTES) == set(SEPARATION_NETWORKS)


@pytest.mark.parametrize(
    ("network", "needed", "fits"),
    [("mask-unet", "3.15", 140.0), ("mask-unet-wide", "5.51", 105.0), ("other", "5.51", 105.0)],
)
def test_segments_that_would_fill_the_memory_are_refused(network, needed, fits):
    settings = {"sources": ("a", "b"), "network": network, "sample_rate": 16_000}
    with pytest.raises(ConfigError, match=rf"one segment of 600 s .* {needed} GiB"):
        SeparatorConfig(**settings, n_channels=1, segment_seconds=600.0)
    assert SeparatorConfig(**settings, n_channels=1, segment_seconds=fits).segment_bytes < 2**30


@pytest.mark.parametrize("gain", [-1.0, -0.99])
def test_channels_that_cancel_are_heard(gain, tmp_path):
    separator = Separator(Bands(), config())  # hears mono
    left = noise(3 * RATE)
    for others in ([], [torch.zeros_like(left)]):
        recording = torch.stack([left, gain * left, *others])
        result = separator(recording, RATE)
        assert torch.equal(result.mixture[0], left)
        paths = separator.separate_to_dir(recording, tmp_path, RATE, overwrite=True)
        for name, path in paths.items():
            written = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
            torch.testing.assert_close(written, result[name][0], atol=1e-6, rtol=0)


def test_a_network_that_hears_stereo_keeps_two_channels_that_cancel():
    separator = Separator(Bands(), config(n_channels=2))
    left = noise(3 * RATE)
    stereo = torch.stack([left, -left])
    assert torch.equal(separator(stereo, RATE).mixture, stereo)
    chosen = separator(stereo, RATE, channel=1)
    assert torch.equal(chosen.mixture, -left[None])
    three = separator(torch.stack([left, -left, 0 * left]), RATE)  # not two: mixed to mono
    assert torch.equal(three.mixture, left[None])


def test_stereo_sources_are_those_of_each_channel():
    stereo = noise(2, 9_000)
    apart = [Separator(Bands(), config())(channel, RATE).audio for channel in stereo]
    together = Separator(Bands(), config(n_channels=2))(stereo, RATE).audio
    torch.testing.assert_close(together, torch.cat(apart, dim=1))


@pytest.mark.parametrize("channel", [None, 1])
@pytest.mark.parametrize("n_given", [1, 2, 3])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_files_hold_what_a_call_gives(n_channels, n_given, channel, tmp_path):
    if channel is not None and n_given == 1:
        pytest.skip("there is no such channel")
    separator = Separator(Bands(), config(n_channels=n_channels))
    recording = noise(n_given, 30_000)
    result = separator(recording, 11_025, channel=channel)
    paths = separator.separate_to_dir(recording, tmp_path, 11_025, channel=channel)
    for name, path in paths.items():
        written, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate == RATE
        torch.testing.assert_close(torch.from_numpy(written.T), result[name], atol=1e-6, rtol=0)


def test_the_device_is_that_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.setitem(SEPARATION_NETWORKS, "bands", lambda n_sources: Bands())
    Separator(Bands(), config(network="bands")).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="device"):
        Separator.from_pretrained(tmp_path, device="nonesuch")
    monkeypatch.setattr("soundsep.separator.separator.find_demucs", lambda name: htdemucs())
    with pytest.raises(ConfigError, match="device"):
        Separator.from_pretrained("htdemucs", device="nonesuch")


def test_an_array_without_a_rate_and_silence_are_said(tmp_path):
    separator = Separator(Bands(), config())
    with pytest.warns(SoundsepWarning, match=f"taken as {RATE} Hz"):
        separator(noise(RATE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        separator(noise(RATE))
    silence = torch.zeros(2, 3 * RATE)
    with pytest.warns(SoundsepWarning, match="the array is digital silence"):
        assert not separator(silence).audio.any()
    with pytest.warns(SoundsepWarning, match="the array is digital silence"):
        separator.separate_to_dir(silence, tmp_path)


@pytest.mark.parametrize("options", [{"sample_rate": "44100"}, {"channel": -1}, {"channel": "1"}])
def test_options_of_wrong_types_are_refused(options, tmp_path):
    separator = Separator(Bands(), config())
    (name,) = options
    with pytest.raises(ConfigError, match=name):
        separator(noise(RATE), **options)
    with pytest.raises(ConfigError, match=name):
        separator.separate_to_dir(noise(RATE), tmp_path, **options)
