from __future__ import annotations

import math

import pytest
import torch

from soundsep._torchaudio import torchaudio
from soundsep.errors import ConfigError, ShapeError
from soundsep.frontends import (
    MEL_PRESETS,
    KaldiMelConfig,
    KaldiMelFrontend,
    MelConfig,
    MelFrontend,
    power_to_db,
)
from soundsep.frontends.scaling import scale
from soundsep.frontends.spectrogram import BandSpectrogram

PLAIN = MelConfig(scaling="none")


def tone(hz: float, sample_rate: int = 16_000, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(sample_rate * seconds), dtype=torch.float64) / sample_rate
    return torch.sin(2 * math.pi * hz * time).float()[None]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MEL_PRESETS)
@pytest.mark.parametrize("n_samples", [30_000, 12_345])
def test_shape_is_bands_by_one_frame_a_hop(name, n_samples):
    frontend = MelFrontend(name)
    config = frontend.config
    features = frontend(noise(2, n_samples))
    assert features.shape == (2, config.n_mels, 1 + n_samples // config.hop_length)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


@pytest.mark.parametrize("n_samples", [3_199, 3_200, 3_201])
def test_a_window_of_odd_length_has_no_frame_after_the_last_sample(n_samples):
    config = PLAIN.replace(n_fft=801, win_length=801, hop_length=320)
    frames = MelFrontend(config)(noise(1, n_samples)).shape[-1]
    assert frames == 1 + (n_samples - 1) // 320
    kaldi = KaldiMelFrontend(KaldiMelConfig(n_fft=801, hop_length=320))
    assert kaldi(noise(1, n_samples + 1)).shape[-1] == frames


@pytest.mark.parametrize("n_samples", [8_000, 8_100])
def test_a_click_is_loudest_in_the_frame_around_it(n_samples):
    waveform = torch.zeros(3, n_samples)
    places = [0, 16 * 250, n_samples // 250 * 250 - 1]  # of the first frame to the last
    for clip, place in zip(waveform, places, strict=True):
        clip[place] = 1.0
    for n_fft in (1_024, 801):
        config = PLAIN.replace(n_fft=n_fft, win_length=n_fft, hop_length=250)
        loudness = MelFrontend(config)(waveform).mean(dim=1)
        assert loudness.argmax(dim=1).tolist()[:2] == [0, 16]
        assert abs(int(loudness[2].argmax()) - n_samples // 250) <= (n_fft % 2)


@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
@pytest.mark.parametrize("hz", [300.0, 1_000.0, 3_000.0, 7_000.0])
def test_tone_lands_in_the_band_around_it(mel_scale, hz):
    config = PLAIN.replace(mel_scale=mel_scale, n_mels=32)
    if mel_scale == "htk":

        def mel(f: float) -> float:
            return 2595 * math.log10(1 + f / 700)
    else:

        def mel(f: float) -> float:
            return f * 3 / 200 if f < 1000 else 15 + math.log(f / 1000) * 27 / math.log(6.4)

    step = (mel(config.f_max) - mel(config.f_min)) / (config.n_mels + 1)
    nearest = round((mel(hz) - mel(config.f_min)) / step) - 1
    loudest = MelFrontend(config)(tone(hz))[0, :, 25].argmax()
    assert loudest == nearest


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_twice_the_amplitude_is_six_decibels(power):
    frontend = MelFrontend(PLAIN.replace(power=power))
    quiet, loud = frontend(torch.cat([noise(1, 16_000), 2 * noise(1, 16_000)]))
    torch.testing.assert_close(loud - quiet, torch.full_like(loud, 20 * math.log10(2)))


def test_bands_of_equal_height_add_up_to_one_between_the_outer_centres():
    bank = MelFrontend(PLAIN).filters
    inner = slice(int(bank[:, 0].argmax()) + 1, int(bank[:, -1].argmax()))
    torch.testing.assert_close(bank.sum(dim=1)[inner], torch.ones(inner.stop - inner.start))


def test_slaney_norm_gives_bands_the_same_area():
    config = PLAIN.replace(norm="slaney", n_fft=16_384)
    areas = MelFrontend(config).filters.sum(dim=0) * config.sample_rate / config.n_fft
    torch.testing.assert_close(areas, torch.ones_like(areas), rtol=0.01, atol=0)


def test_top_db_is_taken_from_the_clips_own_maximum():
    waveform = torch.cat([noise(1, 16_000), 1e-3 * noise(1, 16_000)], dim=1)
    features = MelFrontend(PLAIN.replace(top_db=20.0))(waveform)
    assert features.amax() - features.amin() == pytest.approx(20, abs=1e-4)
    free = MelFrontend(PLAIN.replace(top_db=None))(waveform)
    assert free.amax() - free.amin() > 50
    assert torch.equal(features, free.clamp(min=float(free.amax()) - 20))


def test_standardize_gives_every_clip_mean_0_and_deviation_1():
    features = MelFrontend("16k")(noise(3, 16_000) * torch.tensor([[1e-4], [1.0], [30.0]]))
    torch.testing.assert_close(features.mean(dim=(1, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.std(dim=(1, 2), correction=0), torch.ones(3))


@pytest.mark.parametrize(("deviation", "expected"), [(1e-2, 1.0), (2e-2, 1.0), (1e-3, 0.1)])
def test_what_varies_less_than_a_hundredth_of_a_decibel_is_not_blown_up(deviation, expected):
    db = torch.tensor([1.0, -1.0]).repeat(8).reshape(1, 4, 4) * deviation - 40
    assert scale(db, "standardize").std(correction=0) == pytest.approx(expected, rel=1e-3)


def test_image_is_whole_numbers_over_the_full_range():
    features = MelFrontend("44k-image")(noise(2, 44_100))
    assert torch.equal(features, features.round())
    assert features.amin(dim=(1, 2)).tolist() == [0, 0]
    assert features.amax(dim=(1, 2)).tolist() == [255, 255]


def test_silence_is_the_floor_and_scales_to_zeros():
    silence = torch.zeros(1, 16_000)
    assert torch.equal(MelFrontend(PLAIN)(silence), torch.full((1, 64, 51), -100.0))
    for scaling in ("standardize", "image"):
        assert not MelFrontend(PLAIN.replace(scaling=scaling))(silence).any()


def test_state_dict_is_empty_since_settings_rebuild_the_tables():
    assert not MelFrontend("16k").state_dict()


def test_power_to_db():
    assert power_to_db(torch.tensor([1.0, 100.0, 0.0])).tolist() == [0.0, 20.0, -100.0]
    assert power_to_db(torch.tensor([10.0, 0.0]), multiplier=20, amin=1e-5).tolist() == [20, -100]


@pytest.mark.parametrize(
    "waveform",
    [torch.zeros(16_000), torch.zeros(1, 1, 16_000), torch.zeros(1, 16_000, dtype=torch.int16)],
)
def test_wrong_waveforms_are_refused(waveform):
    with pytest.raises(ShapeError, match="expects a floating-point"):
        MelFrontend("16k")(waveform)


@pytest.mark.parametrize(("pad_mode", "shortest"), [("constant", 1), ("reflect", 513)])
def test_shortest_waveform_has_features_and_a_shorter_one_is_refused(pad_mode, shortest):
    frontend = MelFrontend(PLAIN.replace(pad_mode=pad_mode))
    assert frontend.min_samples == shortest
    assert frontend(noise(1, shortest)).isfinite().all()
    with pytest.raises(ShapeError, match=f"at least {shortest} samples"):
        frontend(noise(1, shortest - 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sample_rate", 0),
        ("sample_rate", 10**400),
        ("n_fft", 0),
        ("n_fft", 2**21),
        ("n_mels", 2**20),
        ("win_length", 1025),
        ("hop_length", -1),
        ("f_min", -1.0),
        ("f_min", 8_000.0),
        ("f_max", 8_001.0),
        ("f_max", math.nan),
        ("power", 3.0),
        ("amin", 0.0),
        ("amin", math.inf),
        ("amin", 1e308),
        ("amin", 1e-50),
        ("top_db", 0.0),
        ("top_db", math.nan),
        ("mel_scale", "bark"),
        ("norm", "l1"),
        ("pad_mode", "edge"),
        ("scaling", "minmax"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field):
        MelConfig().replace(**{field: value})


def test_unknown_preset_names_those_that_exist():
    with pytest.raises(ConfigError, match="no mel preset '8k'; there are 16k"):
        MelFrontend("8k")
    with pytest.raises(ConfigError, match=r"expected a MelConfig or .*, got a dict"):
        MelFrontend({"n_mels": 64})  # type: ignore[arg-type]


@pytest.mark.parametrize("config", MEL_PRESETS.values(), ids=MEL_PRESETS)
def test_presets_survive_json(config):
    assert MelConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
def test_the_spectrogram_is_that_of_torchaudio(power, pad_mode):
    ours = BandSpectrogram(
        torch.hann_window(800).double(),
        torch.eye(PLAIN.n_fft // 2 + 1).double(),  # every bin is a band
        n_fft=PLAIN.n_fft,
        hop_length=PLAIN.hop_length,
        power=power,
        pad_mode=pad_mode,
    )
    theirs = (
        torchaudio()
        .transforms.Spectrogram(
            n_fft=PLAIN.n_fft,
            win_length=800,
            hop_length=PLAIN.hop_length,
            power=power,
            pad_mode=pad_mode,
        )
        .double()
    )
    waveform = torch.randn(2, 4_000, generator=torch.Generator().manual_seed(0)).double()
    found, expected = ours(waveform), theirs(waveform)
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.max()), rtol=1e-4)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_silence_has_a_gradient(power):
    waveform = torch.zeros(1, 4_000, requires_grad=True)
    MelFrontend(PLAIN.replace(power=power)).spectrogram(waveform).sum().backward()
    assert torch.equal(waveform.grad, torch.zeros(1, 4_000))
