"""Whether an exported graph gives the scores of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from soundsep.classifier import Classifier
from soundsep.export.runtime import OnnxClassifier

__all__ = ["TOLERANCE", "ExportReport", "compare", "example_length"]

TOLERANCE = 1e-4  # of a score, against PyTorch
MAX_CHECK_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What the check of an exported file found.

    Attributes:
        path: The file.
        size_bytes: Its size.
        n_checks: Clips whose scores were compared with those of PyTorch.
        max_difference: Largest absolute difference of a score, those of frames included.
        same_top: Share of the clips whose best label is the same.
    """

    path: Path
    size_bytes: int
    n_checks: int
    max_difference: float
    same_top: float


def compare(
    classifier: Classifier, data: bytes, path: Path, *, frames: bool = False
) -> ExportReport:
    """Run a serialised graph and its classifier on the same synthetic clips."""
    exported = OnnxClassifier(data)
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
    return ExportReport(
        path=path,
        size_bytes=len(data),
        n_checks=len(same),
        max_difference=float(torch.stack(differences).max()),  # NaN stays NaN
        same_top=float(same.float().mean()),
    )


def example_length(classifier: Classifier) -> int:
    """Samples of one window, unless that is very long."""
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
        noise = torch.randn(length, generator=generator)
        signals = (
            0.1 * noise,
            # Behind each tone a trace of noise, as in any recording: in digital silence the level
            # is that of rounding errors, which no two Fourier transforms share.
            0.5 * (2 * math.pi * 440 * turns).sin().float() + 1e-4 * noise,
            (2 * math.pi * (200 + 300 * turns) * turns).sin().float() + 1e-4 * noise,
            1e-4 * noise,
            noise * (torch.rand(length, generator=generator) > 0.999),
            torch.zeros(length),
        )
        yield torch.stack(signals)
        yield signals[3].unsqueeze(0)
