from __future__ import annotations

import numpy as np
import torch

from soundsep.training.nothing import noise_windows

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
