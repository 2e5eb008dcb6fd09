"""`GammatoneFrontend` against recursive filters run sample by sample, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

from soundsep.frontends import GammatoneConfig, GammatoneFrontend
from soundsep.frontends.gammatone import gammatone_taps

CONFIG = GammatoneConfig(n_bands=32, scaling="none", top_db=None)
FULL_RATE = CONFIG.replace(
    sample_rate=44_100, n_bands=24, f_max=17_000.0, win_length=2_048, hop_length=512
)


def slaneys_sections(hz: float, sample_rate: int) -> np.ndarray:
    """The four sections of second order as Slaney's report prints them, with a gain of 1."""
    period = 1 / sample_rate
    width = 1.019 * 2 * math.pi * 24.7 * (4.37 * hz / 1000 + 1)
    turn, shrink = 2 * math.pi * hz * period, math.exp(-width * period)
    sections = np.array(
        [
            [
                period,
                -period * shrink * (math.cos(turn) + zero * math.sin(turn)),
                0,
                1,
                -2 * shrink * math.cos(turn),
                shrink**2,
            ]
            for zero in (s * math.sqrt(3 + t * 2**1.5) for s in (1, -1) for t in (1, -1))
        ]
    )
    _, response = signal.freqz_sos(sections, worN=[hz], fs=sample_rate)
    sections[0, :3] /= abs(response[0])
    return sections


def by_sections(waveform: np.ndarray, hz: float, sample_rate: int) -> np.ndarray:
    return signal.sosfilt(slaneys_sections(hz, sample_rate), waveform)


def by_scipy(waveform: np.ndarray, hz: float, sample_rate: int) -> np.ndarray:
    return signal.lfilter(*signal.gammatone(hz, "iir", fs=sample_rate), waveform)


def decibels(
    clip: torch.Tensor, frontend: GammatoneFrontend, bands: slice, run: Callable[..., np.ndarray]
) -> np.ndarray:
    config = frontend.config
    before = config.win_length // 2
    waveform = np.pad(clip.double().numpy(), (before, config.win_length - before))
    frames = []
    for hz in frontend.centre_frequencies[bands].tolist():
        power = run(waveform, hz, config.sample_rate) ** 2
        frames.append(sliding_window_view(power, config.win_length)[:: config.hop_length].mean(-1))
    return 10 * np.log10(np.maximum(frames, config.amin))


def assert_equal(config, clips, bands: slice, run: Callable[..., np.ndarray]) -> None:
    frontend = GammatoneFrontend(config)
    for clip in clips:
        expected = decibels(clip, frontend, bands, run)
        difference = np.abs(frontend(clip[None])[0, bands].numpy() - expected)
        depth = expected.max() - expected
        assert difference[depth <= 80].max() < 2e-3
        assert difference.max() < 5e-2


def test_decibels_are_those_of_slaneys_sections_on_real_clips(real_clips):
    assert_equal(CONFIG, real_clips[::4], slice(None), by_sections)


def test_decibels_are_those_of_slaneys_sections_at_the_full_rate(real_clips_44k):
    assert_equal(FULL_RATE, real_clips_44k[:3], slice(None), by_sections)


def test_decibels_are_those_of_scipys_filters_on_real_clips(real_clips):
    # scipy multiplies the sections out, which float64 bears at 16 kHz from some 100 Hz on.
    assert_equal(CONFIG, real_clips[::4], slice(8, None), by_scipy)


def test_scipys_form_is_what_blows_up_at_50_hz_and_the_full_rate():
    click = np.zeros(44_100)
    click[0] = 1
    taps = gammatone_taps(torch.tensor([50.0], dtype=torch.float64), 44_100)[0].numpy()
    with np.errstate(all="ignore"):
        assert not np.abs(by_scipy(click, 50.0, 44_100)).max() < 1
    sections = by_sections(click, 50.0, 44_100)
    np.testing.assert_allclose(taps, sections[: len(taps)], atol=1e-9 * np.abs(taps).max())
    assert np.abs(sections[len(taps) :]).max() < 1e-6 * np.abs(taps).max()


@pytest.mark.parametrize("hz", [500.0, 1_000.0, 4_000.0])
def test_response_is_that_of_the_analytic_gammatone(hz):
    # Within two bandwidths; further off, and near 0 and half the rate, sampling shows.
    taps = gammatone_taps(torch.tensor([hz], dtype=torch.float64), 44_100)[0].numpy()
    width = 1.019 * 24.7 * (4.37 * hz / 1000 + 1)
    offsets = np.linspace(-2, 2, 41)
    _, response = signal.freqz(taps, worN=hz + offsets * width, fs=44_100)
    analytic = -40 * np.log10(1 + offsets**2)
    np.testing.assert_allclose(20 * np.log10(np.abs(response)), analytic, atol=0.1)
