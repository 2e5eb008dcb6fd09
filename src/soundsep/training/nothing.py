"""Sounds in which there is nothing to name, and the score below which a model names nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio.resampling import resample
from soundsep.augment.acoustics import noise
from soundsep.classifier import Classifier
from soundsep.classifier.checks import reaches
from soundsep.classifier.scoring import score_waveforms

__all__ = ["Doubt", "noise_windows", "unknown_score"]

N_NOISES = 128  # beside digital silence
LEVELS_DB = (-60.0, 0.0)  # their peaks, in dBFS
MAX_NAMED = 0.02  # of the noises, with ``unknown=True``


class Doubt(NamedTuple):
    """The score from which on a model is sure.

    Attributes:
        threshold: Score below which nothing is named.
        noise_named: Share of noises that are named all the same, of others than chose the
            threshold.
    """

    threshold: float
    noise_named: float


def noise_windows(
    rng: np.random.Generator, n_samples: int, sample_rate: int, *, backgrounds: Sequence[Tensor]
) -> list[Tensor]:
    """Digital silence, and computed noises at many levels, half of them parts of backgrounds.

    Args:
        rng: Source of the random numbers.
        n_samples: Length of each window, in samples.
        sample_rate: Rate of the windows, in Hz.
        backgrounds: Waveforms (time,); without them all noises are computed.

    Shape:
        Returns tensors (n_samples,).
    """
    windows = [torch.zeros(n_samples)]
    for index in range(N_NOISES):
        if backgrounds and index % 2:
            whole = backgrounds[index // 2 % len(backgrounds)].numpy()
            places = np.arange(n_samples) + rng.integers(len(whole))
            wave = whole.take(places, mode="wrap")
        else:
            wave = noise(rng, n_samples, sample_rate)
        level = 10 ** (rng.uniform(*LEVELS_DB) / 20)
        peak = float(np.abs(wave).max())  # 0 where a background is digital silence
        windows.append(torch.from_numpy(wave * np.float32(level / peak if peak else 1.0)))
    return windows


def unknown_score(classifier: Classifier, *, seed: int) -> Doubt:
    """The best score that hardly any computed noise reaches, and the share of others that does.

    Args:
        classifier: Classifier with exactly one label per clip and calibrated scores.
        seed: Seed of the noises.
    """
    rng = np.random.default_rng(seed)
    best = _scores_of_noises(classifier, rng)
    lowest = float(np.sort(best)[-1 - int(MAX_NAMED * len(best))])
    above = 1_000 * lowest + 1e-4  # by more than float32 tells apart, see `reaches`
    threshold = min(math.ceil(above) / 1_000, 1.0)
    others = _scores_of_noises(classifier, rng)
    return Doubt(threshold, float(reaches(others, threshold).mean()))


def _scores_of_noises(classifier: Classifier, rng: np.random.Generator) -> NDArray[np.float64]:
    """Best score of each of some noises, (2 * N_NOISES,)."""
    n_samples, rate = classifier.config.window_samples, classifier.sample_rate
    windows = noise_windows(rng, n_samples, rate, backgrounds=())[1:]
    # Many recordings hold nothing above the half of what the model can hear.
    dull = noise_windows(rng, -(-n_samples // 2), rate // 2, backgrounds=())[1:]
    windows += [resample(wave, rate // 2, rate)[:n_samples] for wave in dull]
    scored = score_waveforms(classifier, enumerate(windows), batch_size=16)
    return np.array([float(scores.max()) for _, scores in scored])
