from __future__ import annotations

import math

import pytest
import torch

from soundsep.augment import shift_pitch, stretch_time
from soundsep.errors import ConfigError, ShapeError

RATE = 16_000


def tone(hz: float, seconds: float = 2.0) -> torch.Tensor:
    time = torch.arange(round(RATE * seconds), dtype=torch.float64) / RATE
    return torch.sin(2 * math.pi * hz * time).float()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def pitch_of(waveform: torch.Tensor) -> float:
    """Frequency of the highest peak, in Hz, by a parabola through its logarithm."""
    spectrum = torch.fft.rfft(waveform.double() * torch.hann_window(len(waveform))).abs().log()
    k = int(spectrum[1:-1].argmax()) + 1
    a, b, c = spectrum[k - 1 : k + 2].tolist()
    return (k + (a - c) / (2 * (a - 2 * b + c))) * RATE / len(waveform)


@pytest.mark.parametrize("semitones", [12, -12, 7.3, -1.9, 0.06, 0])
def test_shift_moves_a_tone_within_5_cents_and_keeps_its_time_and_level(semitones):
    clip = tone(1000)
    clip[: RATE // 2] = clip[-RATE // 2 :] = 0  # heard from 0.5 to 1.5 s
    shifted = shift_pitch(clip, semitones)
    assert shifted.shape == clip.shape
    middle = shifted[round(0.6 * RATE) : round(1.4 * RATE)]
    cents = 1200 * math.log2(pitch_of(middle) / 1000)
    assert cents == pytest.approx(100 * semitones, abs=5.2)
    assert middle.square().mean() == pytest.approx(0.5, rel=0.05)
    outside = torch.cat([shifted[: round(0.43 * RATE)], shifted[round(1.57 * RATE) :]])
    assert outside.square().mean() < 1e-4


def test_shift_upwards_does_not_fold_back_what_leaves_the_spectrum():
    assert shift_pitch(tone(5_000), 12).square().mean() < 1e-3  # 10 kHz, at a rate of 16 kHz


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 2.0])
def test_stretch_keeps_the_pitch_and_changes_the_tempo(rate):
    beat_hz = 3.0
    clip = tone(1000, seconds=4.0) * (1 + 0.8 * tone(beat_hz, seconds=4.0))
    stretched = stretch_time(clip, rate)
    assert len(stretched) == round(len(clip) / rate)
    assert pitch_of(stretched) == pytest.approx(1000, abs=1)
    envelope = stretched.square()
    assert pitch_of(envelope - envelope.mean()) == pytest.approx(beat_hz * rate, rel=0.02)


@pytest.mark.parametrize("rate", [0.6, 1.7])
def test_what_is_heard_at_t_is_heard_at_t_over_rate(rate):
    clip = torch.zeros(4 * RATE)
    clip[RATE : RATE + 800] = noise(800)
    loud = stretch_time(clip, rate).square().cumsum(0)
    middle = int((loud < loud[-1] / 2).sum()) / RATE
    assert middle == pytest.approx(1.025 / rate, abs=0.02)


def test_rate_1_and_no_shift_change_nothing():
    clips = noise(2, 9_999)
    torch.testing.assert_close(stretch_time(clips, 1.0), clips, atol=1e-4, rtol=0)
    torch.testing.assert_close(shift_pitch(clips, 0.0), clips, atol=1e-4, rtol=0)


def test_sound_comes_back_after_digital_silence():
    clip = torch.zeros(4 * RATE)
    clip[: RATE // 2], clip[-RATE:] = noise(RATE // 2), noise(RATE)
    stretched = stretch_time(clip, 0.8)
    assert not stretched[RATE : 3 * RATE].any()
    assert stretched[-RATE:].square().mean() > 0.3
    assert not shift_pitch(torch.zeros(3_000), 5.0).any()


@pytest.mark.parametrize("n_samples", [1, 2, 255, 256, 257, 1023, 1025])
def test_clips_shorter_than_a_window_have_the_right_length(n_samples):
    clip = noise(n_samples)
    for rate in (0.25, 0.9, 1.0, 1.3, 4.0):
        stretched = stretch_time(clip, rate)
        assert len(stretched) == max(1, round(n_samples / rate))
        assert stretched.isfinite().all()
        assert stretched.abs().max() < 20
    for semitones in (-24, -3.3, 5.1, 24):
        shifted = shift_pitch(clip, semitones)
        assert shifted.shape == clip.shape
        assert shifted.isfinite().all()


def test_settings_out_of_range_are_refused():
    for rate in (0.2, 5.0, math.nan):
        with pytest.raises(ConfigError, match=r"from 0\.25 to 4"):
            stretch_time(noise(100), rate)
    for semitones in (25, -24.5, math.nan):
        with pytest.raises(ConfigError, match="from -24 to 24"):
            shift_pitch(noise(100), semitones)
    for n_fft in (0, 12, 1022, 2**17):
        with pytest.raises(ConfigError, match="multiple of 4"):
            stretch_time(noise(100), 1.1, n_fft=n_fft)
    with pytest.raises(ShapeError, match="at least one sample"):
        stretch_time(torch.zeros(2, 0), 1.1)
