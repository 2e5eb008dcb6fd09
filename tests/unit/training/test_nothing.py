from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from soundsep.training import nothing
from soundsep.training.nothing import noise_windows, unknown_score

RATE = 8_000


def test_half_of_the_noises_are_parts_of_backgrounds_at_their_own_levels():
    background = torch.ones(3 * RATE)
    silence, *noises = noise_windows(np.random.default_rng(0), RATE, RATE, backgrounds=[background])
    assert not silence.any()
    parts = [wave for wave in noises if len(wave.unique()) == 1]
    assert len(parts) == len(noises) // 2
    peaks = torch.stack([wave.abs().max() for wave in noises])
    assert 0.001 <= float(peaks.min()) < 0.002
    assert 0.5 < float(peaks.max()) <= 1.0


def test_a_background_that_is_silent_for_a_while_gives_silence():
    background = torch.zeros(20 * RATE)
    background[0] = 0.5
    windows = noise_windows(np.random.default_rng(0), RATE, RATE, backgrounds=[background])
    assert all(bool(wave.isfinite().all()) for wave in windows)
    silent = [wave for wave in windows if not wave.any()]
    assert 32 < len(silent) < 66  # of 65: the first, and most parts of the background


def test_a_score_is_above_that_of_noise_in_float32_too(monkeypatch):
    """The thousandth above 0.7 in float32, which is below 0.7, is not 0.7."""
    best = [*np.linspace(0, 0.6, 250), *[0.7] * 6]  # the sixth from above is 0.7

    def scored(_, windows, *, batch_size):
        for (key, _), score in zip(windows, best, strict=True):
            yield key, torch.tensor([score, 0.0])

    monkeypatch.setattr(nothing, "score_waveforms", scored)
    config = SimpleNamespace(window_samples=RATE // 2)
    doubt = unknown_score(SimpleNamespace(config=config, sample_rate=RATE), seed=0)
    assert doubt == (0.701, 0.0)


def test_noises_other_than_those_that_chose_it_reach_the_score(monkeypatch):
    """A choice on 256 noises leaves 2 % of them above the score, whatever the model is worth."""
    best = iter([np.linspace(0, 1, 256), np.linspace(0.5, 1, 256)])
    heard = []

    def scored(_, windows, *, batch_size):
        for (key, wave), score in zip(windows, next(best), strict=True):
            heard.append(wave)
            yield key, torch.tensor([score, 0.0])

    monkeypatch.setattr(nothing, "score_waveforms", scored)
    config = SimpleNamespace(window_samples=RATE // 2)
    doubt = unknown_score(SimpleNamespace(config=config, sample_rate=RATE), seed=0)
    assert doubt.threshold == pytest.approx(0.981)  # above the sixth of the first, 250 / 255
    assert doubt.noise_named == pytest.approx(10 / 256)  # of the second, from 246 / 255 on
    assert not any(torch.equal(a, b) for a, b in zip(heard[:256], heard[256:], strict=True))
