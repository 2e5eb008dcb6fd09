from __future__ import annotations

import math

import pytest
import torch
from scipy.signal import freqz

from soundsep.audio.level import level_db, raised, raising_gain

RATE = 16_000


def tone(hertz: float, *, seconds: float = 1.0, rate: int = RATE) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("hertz", [100.0, 1_000.0, 5_000.0])
def test_a_sine_has_its_power_after_pre_emphasis(hertz):
    _, response = freqz([1, -0.97], worN=[hertz], fs=RATE)
    expected = 10 * math.log10(0.5 * abs(response[0]) ** 2)
    assert level_db(tone(hertz), sample_rate=RATE) == pytest.approx(expected, abs=0.1)


def test_the_loudest_tenth_of_a_second_counts_wherever_it_is():
    quiet = 0.001 * tone(1_000, seconds=3)
    alone = level_db(tone(1_000), sample_rate=RATE)
    for start in (0, 20_000, len(quiet) - 2_400):
        clip = quiet.clone()
        clip[start : start + 2_400] = tone(1_000)[:2_400]  # 0.15 s hold any two halves of 0.05 s
        assert level_db(clip, sample_rate=RATE) == pytest.approx(alone, abs=0.3)
    click = quiet.clone()
    click[20_000] = 1.0
    assert level_db(click, sample_rate=RATE) < alone - 15


def test_soft_clips_are_brought_to_the_level_and_loud_ones_stay():
    for gain in (1e-3, 1e-2, 0.1):
        clip = gain * tone(1_000)
        raised = raising_gain(clip, -10.0, sample_rate=RATE) * clip
        assert level_db(raised, sample_rate=RATE) == pytest.approx(-10.0, abs=1e-3)
    assert raising_gain(tone(1_000), -30.0, sample_rate=RATE) == 1.0


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.0001, 3.0])
@pytest.mark.parametrize("start", [0.0, 0.3, 0.95, 2.5])
def test_a_gain_is_what_the_level_of_the_whole_clip_asks_for(seconds, start):
    clip = 0.01 * tone(1_000, seconds=seconds) + 0.1
    clip[round(start * RATE) : round((start + 0.15) * RATE)] *= 3
    level = level_db(clip, sample_rate=RATE)
    for above in (-3.0, -1e-6, 0.0, 1e-6, 3.0):
        expected = 10 ** (max(above, 0.0) / 20)
        gain = raising_gain(clip, level + above, sample_rate=RATE)
        assert gain == pytest.approx(expected, rel=1e-12)
        assert gain >= 1.0


def test_a_gain_is_bounded():
    assert raising_gain(1e-7 * tone(1_000), -30.0, sample_rate=RATE) == 10**4


@pytest.mark.parametrize(
    "clip",
    [torch.zeros(RATE), torch.ones(1), torch.full((RATE,), float("nan")), torch.empty(0)],
    ids=["silence", "one sample", "nan", "nothing"],
)
def test_what_has_no_level_stays_as_it_is(clip):
    assert level_db(clip, sample_rate=RATE) == -math.inf
    assert raising_gain(clip, -30.0, sample_rate=RATE) == 1.0
    assert raised(clip, 1.0) is clip


@pytest.mark.parametrize("n_samples", [2, 799, 800, 801, 1_599, 1_600, 1_601, 1_602, 2_401])
def test_clips_of_any_length_have_a_level(n_samples):
    level = level_db(tone(1_000)[:n_samples], sample_rate=RATE)
    assert level == pytest.approx(level_db(tone(1_000), sample_rate=RATE), abs=6)


@pytest.mark.parametrize("n_samples", [3 * RATE, 3 * RATE + 1, 3 * RATE + 2])
def test_a_sound_just_before_the_end_counts(n_samples):
    """Of 40 ms, wherever they are: 4 dB below that of a whole tenth of a second."""
    for start in (0, RATE, n_samples - 640):
        clip = torch.zeros(n_samples)
        clip[start : start + 640] = tone(1_000)[:640]
        expected = level_db(tone(1_000), sample_rate=RATE) + 10 * math.log10(0.4)
        assert level_db(clip, sample_rate=RATE) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("offset", [-0.3, 0.05])
def test_an_offset_neither_counts_nor_is_raised(offset):
    clip = 1e-3 * tone(1_000)
    gain = raising_gain(clip, -10.0, sample_rate=RATE)
    assert raising_gain(clip + offset, -10.0, sample_rate=RATE) == pytest.approx(gain, rel=1e-3)
    torch.testing.assert_close(raised(clip + offset, gain), gain * clip, atol=1e-3, rtol=0)
