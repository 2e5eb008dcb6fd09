from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from soundsep.augment import acoustics
from soundsep.augment.acoustics import MAX_NOISE_SECONDS, equaliser, noise, room_response

RATE = 16_000


@pytest.mark.parametrize("t60_seconds", [0.2, 0.8])
def test_a_response_has_unit_energy_and_the_length_of_its_reverberation(t60_seconds):
    response = room_response(
        np.random.default_rng(0), sample_rate=RATE, t60_seconds=t60_seconds, direct_db=-10.0
    )
    assert np.sum(response**2) == pytest.approx(1, abs=1e-5)
    assert len(response) == round(t60_seconds * RATE)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("t60_seconds", [0.2, 0.8])
def test_the_lows_take_the_time_and_the_highs_less(rate, t60_seconds):
    """By Schroeder's backward integration, from 5 to 35 dB below (ISO 3382, T30)."""
    found = []
    for band in ((60, 500), (4_000, 7_500)):
        sections = signal.butter(4, band, "bandpass", fs=rate, output="sos")
        energy = np.zeros(round(t60_seconds * rate) - 1)
        for seed in range(20):
            response = room_response(
                np.random.default_rng(seed),
                sample_rate=rate,
                t60_seconds=t60_seconds,
                direct_db=-40.0,
            )
            energy += signal.sosfilt(sections, response[1:].astype(np.float64), axis=0) ** 2
        left = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum())
        fit = np.flatnonzero((left < -5) & (left > -35))
        found.append(-60 / np.polyfit(fit / rate, left[fit], 1)[0] / t60_seconds)
    assert found[0] == pytest.approx(1, abs=0.05)
    assert 0.66 < found[1] < 0.95


@pytest.mark.parametrize("direct_db", [-8.0, 0.0, 10.0])
def test_the_direct_sound_has_its_level_over_all_reverberation(direct_db):
    response = room_response(
        np.random.default_rng(1), sample_rate=RATE, t60_seconds=0.4, direct_db=direct_db
    ).astype(np.float64)
    ratio = 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2))
    assert ratio == pytest.approx(direct_db, abs=0.01)


def test_a_telephone_lets_its_band_through_and_nothing_else():
    hz = np.array([50.0, 300.0, 1_000.0, 3_400.0, 7_000.0])
    gain = 20 * np.log10(
        equaliser(np.random.default_rng(0), hz, max_db=0.0, low_hz=300.0, high_hz=3_400.0)
    )
    assert np.abs(gain[1:4]).max() < 0.1
    assert gain[0] < -50
    assert gain[4] < -60


def test_bends_stay_within_their_bounds():
    hz = np.linspace(100, 7_900, 500)
    gain = 20 * np.log10(
        equaliser(np.random.default_rng(3), hz, max_db=9.0, low_hz=20.0, high_hz=8_000.0)
    )
    assert 1 < np.abs(gain).max() <= 9.01


def test_noise_has_a_power_of_1_and_follows_from_its_generator():
    for seed in range(40):
        wave = noise(np.random.default_rng(seed), 20_000, RATE)
        assert wave.dtype == np.float32
        assert np.mean(wave.astype(np.float64) ** 2) == pytest.approx(1, rel=1e-3)
        np.testing.assert_array_equal(wave, noise(np.random.default_rng(seed), 20_000, RATE))


@pytest.mark.parametrize("extra", [1, 500, 1_000, 30_000])
def test_long_noise_changes_after_a_minute_without_a_jump(extra):
    rate = 1_000  # nothing depends on it
    n_samples = MAX_NOISE_SECONDS * rate + extra
    for seed in range(6):
        wave = noise(np.random.default_rng(seed), n_samples, rate)
        assert len(wave) == n_samples
        assert np.isfinite(wave).all()
        seconds = wave[: 60 * rate].reshape(60, rate)
        assert np.mean(seconds**2) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("n_samples", [1, 1_023, 1_024, 1_025, 60 * 32_000])
def test_a_tone_has_no_noise_of_its_own_after_a_minute(n_samples):
    """In float32 alone, that of 14 kHz was 15 dB below the tone then."""
    rate, hz, phase = 32_000, 14_000.0, 1.0
    wave = acoustics._sine(hz / rate, phase, n_samples)
    assert wave.dtype == np.float32
    turns = np.arange(n_samples) * (hz / rate)
    exact = np.sin(2 * np.pi * (turns % 1.0) + phase)
    np.testing.assert_allclose(wave, exact, rtol=0, atol=1e-6)
