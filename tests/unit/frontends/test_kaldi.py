from __future__ import annotations

import json
import math

import pytest
import torch

from soundsep._torchaudio import torchaudio
from soundsep.errors import ConfigError, ShapeError
from soundsep.frontends import KaldiMelConfig, KaldiMelFrontend, MelConfig
from soundsep.frontends.filterbank import kaldi_filterbank

FLOOR = (math.log(1e-5) + 4.5) / 5  # of silence


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("sample_rate", "n_fft", "n_mels", "f_min", "f_max"),
    [(32_000, 1024, 128, 0.0, 15_000.0), (16_000, 512, 80, 20.0, 7_600.0)],
)
def test_filters_are_those_of_torchaudio_compliance(sample_rate, n_fft, n_mels, f_min, f_max):
    get_mel_banks = torchaudio().compliance.kaldi.get_mel_banks
    reference, _ = get_mel_banks(n_mels, n_fft, sample_rate, f_min, f_max, 100.0, -500.0, 1.0)
    bank = kaldi_filterbank(
        sample_rate=sample_rate, n_fft=n_fft, n_mels=n_mels, f_min=f_min, f_max=f_max
    )
    assert bank.shape == (n_fft // 2 + 1, n_mels)
    # It works in float32, where a mel has an absolute error of some 1e-4.
    torch.testing.assert_close(bank[:-1].T.float(), reference, atol=2e-4, rtol=0)
    assert not bank[-1].any()  # the bin at half the rate, which Kaldi leaves out
    assert bank.max() > 0.5


def test_features_are_the_documented_formula():
    config = KaldiMelConfig()
    waveform = noise(1, 6_000).double()
    features = KaldiMelFrontend(config).double()(waveform)
    emphasised = waveform[0, 1:] - 0.97 * waveform[0, :-1]
    n = torch.arange(800, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * n / 799)  # symmetric: ends in zero on both sides
    frame = 5  # far from both ends, so that no padding is seen
    start = frame * 320 - 400
    padded = torch.zeros(1024, dtype=torch.float64)
    padded[112:912] = emphasised[start : start + 800] * window
    power = torch.fft.rfft(padded).abs().square()
    bank = kaldi_filterbank(sample_rate=32_000, n_fft=1024, n_mels=128, f_min=0, f_max=15_000)
    expected = ((power @ bank + 1e-5).log() + 4.5) / 5
    torch.testing.assert_close(features[0, :, frame], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_samples", [514, 32_000, 32_001, 12_345])
def test_shape_is_bands_by_one_frame_a_hop(n_samples):
    features = KaldiMelFrontend()(noise(2, n_samples))
    assert features.shape == (2, 128, 1 + (n_samples - 1) // 320)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


@pytest.mark.parametrize("hz", [300.0, 1_000.0, 4_000.0, 12_000.0])
def test_tone_lands_in_the_band_around_it(hz):
    def mel(f: float) -> float:
        return 1127 * math.log1p(f / 700)

    tone = torch.sin(2 * math.pi * hz * torch.arange(32_000, dtype=torch.float64) / 32_000)
    nearest = round(mel(hz) / (mel(15_000) / 129)) - 1
    loudest = KaldiMelFrontend()(tone.float()[None])[0, :, 50].argmax()
    assert abs(int(loudest) - nearest) <= 1  # low bands are narrower than a bin


def test_loudness_is_kept_and_silence_is_the_floor():
    quiet, loud = KaldiMelFrontend()(torch.stack([noise(16_000) * 10, noise(16_000) * 20]))
    torch.testing.assert_close(
        loud - quiet, torch.full_like(loud, 2 * math.log(2) / 5), atol=1e-3, rtol=0
    )
    silence = KaldiMelFrontend()(torch.zeros(1, 16_000))
    torch.testing.assert_close(silence, torch.full_like(silence, FLOOR))


def test_preemphasis_takes_a_constant_away():
    features = KaldiMelFrontend(KaldiMelConfig(preemphasis=1.0))(torch.full((1, 16_000), 0.5))
    torch.testing.assert_close(features, torch.full_like(features, FLOOR))
    assert KaldiMelFrontend()(torch.full((1, 16_000), 0.5)).max() > FLOOR + 0.5


def test_clip_is_the_same_alone_and_beside_a_loud_one():
    batch = torch.cat([1e-3 * noise(1, 16_000), torch.zeros(1, 16_000), 1e4 * noise(1, 16_000)])
    frontend = KaldiMelFrontend()
    alone = torch.cat([frontend(clip[None]) for clip in batch])
    torch.testing.assert_close(alone, frontend(batch), atol=1e-5, rtol=0)


def test_input_is_not_changed():
    waveform = noise(1, 2_000)
    before = waveform.clone()
    KaldiMelFrontend()(waveform)
    assert torch.equal(waveform, before)


@pytest.mark.parametrize("loudness", [0.0, 1e-3, 1.0])
def test_gradients_are_finite_and_reach_the_waveform(loudness):
    waveform = (loudness * noise(1, 8_000)).requires_grad_()
    KaldiMelFrontend()(waveform).square().sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()
    if loudness:
        assert (waveform.grad != 0).float().mean() > 0.9


def test_shortest_waveform_has_features_and_a_shorter_one_is_refused():
    frontend = KaldiMelFrontend()
    assert frontend.min_samples == 514
    assert frontend(noise(1, 514)).isfinite().all()
    with pytest.raises(ShapeError, match="at least 514 samples, got 513"):
        frontend(noise(1, 513))


@pytest.mark.parametrize(
    "waveform",
    [torch.zeros(16_000), torch.zeros(1, 1, 16_000), torch.zeros(1, 16_000, dtype=torch.int16)],
)
def test_wrong_waveforms_are_refused(waveform):
    with pytest.raises(ShapeError, match="expects a floating-point"):
        KaldiMelFrontend()(waveform)


def test_state_dict_is_empty_since_settings_rebuild_the_tables():
    assert not KaldiMelFrontend().state_dict()


def test_settings_survive_json_and_say_their_kind():
    config = KaldiMelConfig(n_mels=64, f_max=12_000.0)
    written = json.loads(json.dumps(config.to_dict()))
    assert written["kind"] == "kaldi-mel"
    assert KaldiMelConfig.from_dict(written) == config
    with pytest.raises(ConfigError, match="kind"):
        KaldiMelConfig.from_dict(written | {"kind": "mel"})
    with pytest.raises(ConfigError):
        MelConfig.from_dict(written)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sample_rate", 0),
        ("n_fft", 2**21),
        ("n_mels", 2**20),
        ("hop_length", 0),
        ("win_length", 1),
        ("win_length", 1025),
        ("f_min", -1.0),
        ("f_min", 15_000.0),
        ("f_max", 32_001.0),
        ("f_max", math.nan),
        ("preemphasis", 1.1),
        ("preemphasis", math.nan),
        ("offset", 0.0),
        ("offset", math.inf),
        ("shift", math.inf),
        ("scale", 0.0),
        ("scale", math.nan),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field):
        KaldiMelConfig().replace(**{field: value})


def test_bands_above_half_the_rate_stay_at_the_floor():
    config = KaldiMelConfig(sample_rate=16_000, n_fft=512, win_length=400, hop_length=160)
    generator = torch.Generator().manual_seed(0)
    features = KaldiMelFrontend(config)(torch.randn(1, 16_000, generator=generator))
    floor = (math.log(config.offset) + config.shift) / config.scale
    assert features.shape == (1, 128, 100)
    assert torch.allclose(features[:, 105:], torch.full((1, 23, 100), floor))
    assert (features[:, :105].mean(dim=-1) > floor + 1).all()


def test_features_do_not_depend_on_the_level_where_it_is_normalised():
    config = KaldiMelConfig(level_db=23.5)
    frontend = KaldiMelFrontend(config)
    waveform = torch.randn(1, 32_000) * torch.linspace(0, 0.1, 32_000)
    features = frontend(waveform)
    assert torch.allclose(frontend(waveform / 100), features, atol=1e-4)
    # The loudest tenth of a second has the level asked for.
    power = ((features * config.scale - config.shift).exp() - config.offset).sum(dim=1)
    loudest = power.unfold(1, 10, 1).mean(dim=-1).amax()
    assert abs(10 * loudest.log10() - 23.5) < 0.01
    # What is softer than any recording is not raised to that of one.
    assert frontend(waveform * 1e-7).max() < features.max() - 1


def test_only_soft_waveforms_are_brought_to_the_least_level():
    plain, soft = KaldiMelFrontend(), KaldiMelFrontend(KaldiMelConfig(min_level_db=15.0))
    waveform = torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(soft(waveform), plain(waveform))
    assert torch.allclose(soft(1e-3 * waveform), soft(1e-5 * waveform), atol=1e-4)
    normalised = KaldiMelFrontend(KaldiMelConfig(level_db=15.0))
    assert torch.equal(soft(1e-3 * waveform), normalised(1e-3 * waveform))
    batch = torch.cat([waveform, 1e-3 * waveform])
    assert torch.allclose(soft(batch), torch.cat([soft(one[None]) for one in batch]), atol=1e-5)
    with pytest.raises(ConfigError, match="not both"):
        KaldiMelConfig(level_db=15.0, min_level_db=15.0)
