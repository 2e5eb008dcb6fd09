from __future__ import annotations

import numpy as np
import pytest

from soundsep.datasets.sounds import (
    FRAME_SECONDS,
    MIN_SOUND_SECONDS,
    band_energies,
    close_gaps,
    prepare_sound,
)

RATE = 16_000
HOP = round(FRAME_SECONDS * RATE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1001", "1111"),  # two frames are filled, three are not
        ("10001", "10001"),
        ("0010100", "0011100"),
        ("0000", "0000"),
        ("1", "1"),
    ],
)
def test_pauses_of_at_most_so_many_frames_are_filled(before, after):
    active = np.array([letter == "1" for letter in before])
    assert "".join("01"[int(x)] for x in close_gaps(active, 2)) == after


def noise(n_frames: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, n_frames * HOP).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "n_bands"),
    [(8_000, 5), (12_000, 6), (16_000, 6), (22_050, 7), (32_000, 7), (44_100, 7), (192_000, 7)],
)
def test_the_energy_of_all_bands_is_the_power(rate, n_bands):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * rate).astype(np.float32)
    energy = band_energies(samples, rate)
    assert energy.shape == (n_bands, 500)
    assert energy.sum(axis=0).mean() == pytest.approx(1 / 12, rel=0.05)


@pytest.mark.parametrize("rate", [8_000, 16_000, 32_000, 44_100, 192_000])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_tone_below_half_of_the_rate_is_a_sound_at_its_level(rate, share):
    tone = np.sin(np.pi * share * np.arange(rate)).astype(np.float32)
    assert prepare_sound(tone, rate).level == pytest.approx(0.5, rel=0.01)


def test_the_silence_at_both_ends_is_cut_to_the_frame():
    silence = np.zeros(7 * HOP, np.float32)
    sound = prepare_sound(np.concatenate((silence, noise(30), silence)), RATE)
    assert len(sound.waveform) == 30 * HOP
    np.testing.assert_array_equal(sound.waveform, noise(30))
    assert sound.energy.shape[1] == len(sound.is_active) == 30


def test_a_sound_shares_the_samples_of_its_clip_unless_its_speed_changes():
    clip = noise(30)
    as_it_is = prepare_sound(clip, RATE)
    assert np.shares_memory(as_it_is.waveform, clip)
    assert as_it_is.n_bytes == as_it_is.energy.nbytes + 30
    faster = prepare_sound(clip, RATE, speed=(9, 8))
    assert faster.n_bytes == faster.waveform.nbytes + faster.energy.nbytes + 27
    assert faster.waveform.nbytes == pytest.approx(clip.nbytes * 8 / 9, rel=0.02)


def test_a_sound_has_a_least_length():
    least = round(MIN_SOUND_SECONDS / FRAME_SECONDS)
    silence = np.zeros(50 * HOP, np.float32)
    assert prepare_sound(np.concatenate((silence, noise(least), silence)), RATE) is not None
    assert prepare_sound(np.concatenate((silence, noise(least - 1), silence)), RATE) is None
    assert prepare_sound(silence, RATE) is None


@pytest.mark.parametrize("peak", [1e-7, 1e-5])
def test_what_is_softer_than_anything_that_is_heard_is_no_sound(peak):
    click = np.zeros(8_000, np.float32)
    click[100] = peak
    assert prepare_sound(click, RATE) is None
