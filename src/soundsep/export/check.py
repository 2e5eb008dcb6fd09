"""Compare the scores of an exported graph with those of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from soundsep.classifier import Classifier, ClassifierLike

__all__ = ["TOLERANCE", "Comparison", "ExportReport", "compare", "example_length"]

TOLERANCE = 1e-4  # largest difference of a score from PyTorch's
MAX_CHECK_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """Result of the check of an exported file.

    Attributes:
        path: The exported file.
        size_bytes: Size of the file.
        n_checks: Number of clips whose scores were compared with PyTorch's.
        max_difference: Largest absolute difference of a score, including those of frames.
        same_top: Share of the clips whose best label is the same, 0 to 1.
    """

    path: Path
    size_bytes: int
    n_checks: int
    max_difference: float
    same_top: float


class Comparison(NamedTuple):
    """Differences between the scores of two forms of a classifier.

    Attributes:
        n_checks: Number of clips whose scores were compared.
        max_difference: Largest absolute difference of a score, including those of frames.
        same_top: Share of the clips whose best label is the same, 0 to 1.
    """

    n_checks: int
    max_difference: float
    same_top: float


def compare(classifier: Classifier, exported: ClassifierLike, *, frames: bool) -> Comparison:
    """Run a classifier and its exported form on the same synthetic clips.

    Args:
        classifier: Classifier that was exported, on the CPU in evaluation mode.
        exported: Exported form of the classifier.
        frames: Also compare the scores of frames.
    """
    differences, agreements = [], []
    with torch.inference_mode():
        for clips in _clips(classifier):
            expected, found = classifier.predict(clips), exported.predict(clips)
            differences.append((expected - found).abs().max())
            agreements.append(expected.argmax(dim=1) == found.argmax(dim=1))
            if frames:
                expected, found = classifier.frame_scores(clips), exported.frame_scores(clips)
                differences.append((expected - found).abs().max())
    same = torch.cat(agreements)
    return Comparison(
        n_checks=len(same),
        max_difference=float(torch.stack(differences).max()),  # NaN stays NaN
        same_top=float(same.float().mean()),
    )


def example_length(classifier: Classifier) -> int:
    """Length of one window in samples, but at most `MAX_CHECK_SECONDS`.

    Args:
        classifier: Classifier whose window this is.
    """
    seconds = min(classifier.config.window_seconds, MAX_CHECK_SECONDS)
    return max(classifier.frontend.min_samples, round(seconds * classifier.sample_rate))


def _clips(classifier: Classifier) -> Iterator[Tensor]:
    """Batches (batch, time) of several lengths and sizes, loud clips beside quiet ones."""
    window = example_length(classifier)
    shortest = max(classifier.frontend.min_samples, classifier.config.frontend.win_length)
    generator = torch.Generator().manual_seed(0)
    for n_samples in (window, shortest, window // 2 + 1, window + window // 3):
        length = max(shortest, n_samples)
        turns = torch.arange(length, dtype=torch.float64) / classifier.sample_rate
        noise = torch.randn(length, generator=generator, dtype=torch.float32)
        clicks = noise * (torch.rand(length, generator=generator) > 0.999)
        signals = (
            0.1 * noise,
            # Every tone has a trace of noise, as in any recording: where there is none, levels are
            # those of rounding errors, which differ between Fourier transforms.
            0.5 * (2 * math.pi * 440 * turns).sin().float() + 1e-4 * noise,
            (2 * math.pi * (200 + 300 * turns) * turns).sin().float() + 1e-4 * noise,
            1e-4 * noise,
            clicks,
            torch.zeros_like(noise),
            0.3 + 3e-3 * clicks,  # an offset is removed however the runtime rounds its mean
        )
        yield torch.stack(signals)
        yield signals[3].unsqueeze(0)
