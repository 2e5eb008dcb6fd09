"""Evaluation of a fit on the clips that were held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.datasets import Clip, Piece
from soundsep.metrics import (
    calibration_error,
    confusion_matrix,
    independent_trials,
    wilson_interval,
)
from soundsep.training.calibration import Calibration
from soundsep.training.frame_learner import FrameLearner
from soundsep.training.learner import Learner
from soundsep.training.learnt import file_marks
from soundsep.training.report import FitReport

__all__ = ["Assessment", "assess"]

FEW_CLIPS = 5  # per class; with fewer, a probe is little better than a guess
UNBALANCED = 10  # ratio of the largest class to the smallest


class Assessment(NamedTuple):
    """What `assess` has found.

    Attributes:
        report: The figures.
        calibration: Makes the scores of the clips that were held out mean what they say.
        confidences: Best score of each of these clips.
    """

    report: FitReport
    calibration: Calibration
    confidences: NDArray[np.float64]


def assess(
    learner: Learner | FrameLearner,
    logits: Tensor,
    folds: NDArray[np.int64],
    *,
    mode: str,
    backbone: str,
    labels: tuple[str, ...],
    clips: Sequence[Clip],
    skipped: dict[Path | Piece, str],
    notes: Sequence[str],
) -> Assessment:
    """The report of a fit, and the calibration of its scores.

    Args:
        learner: Learner that holds the clips.
        logits: Logits of each clip, by a model not trained on its recording.
        folds: Fold of each clip; -1 for clips that were not held out.
        mode: ``mode`` of `fit`.
        backbone: Name of the backbone.
        labels: Names of the classes.
        clips: Clips of the fit.
        skipped: Files that were left out, with reasons.
        notes: Further warnings.

    Shape:
        logits: (n_clips, n_classes). folds: (n_clips,).
    """
    targets = learner.targets
    counts = Counter(clip.label for clip in clips)
    recordings = Counter(label for label, _ in {(clip.label, clip.origin) for clip in clips})
    measured = np.flatnonzero(folds >= 0)
    origins = [clip.origin for clip, fold in zip(clips, folds, strict=True) if fold >= 0]
    accuracy = interval = error = None
    calibration = Calibration()
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    confidences = np.zeros(len(folds))
    if len(measured):
        answers = logits.argmax(dim=1)
        heard = [label in c.also for label, c in zip(_named(labels, answers), clips, strict=True)]
        answers = torch.where(torch.tensor(heard), targets, answers)
        correct = (answers == targets).numpy()[measured]
        accuracy = float(correct.mean())
        interval = wilson_interval(accuracy, independent_trials(origins))
        confusion = confusion_matrix(targets[measured], answers[measured], n_classes=len(labels))
        calibration = learner.calibrate(logits[measured], measured)
        for fold in np.unique(folds[measured]):
            others = np.flatnonzero((folds >= 0) & (folds != fold))
            chosen = np.flatnonzero(folds == fold)
            apart = Calibration()
            if len(others):
                apart = learner.calibrate(logits[others], others)
            confidences[chosen] = learner.confidences(logits[chosen], apart).numpy()
        error = calibration_error(confidences[measured], correct)
    report = FitReport(
        mode=mode,
        activation=learner.activation,
        backbone=backbone,
        labels=labels,
        clips_per_class=tuple(counts[label] for label in labels),
        recordings_per_class=tuple(recordings[label] for label in labels),
        n_recordings=len({clip.origin for clip in clips}),
        n_folds=len(np.unique(folds[measured])),
        n_recordings_measured=len(set(origins)),
        accuracy=accuracy,
        interval=interval,
        confusion=confusion,
        calibration_error=error,
        temperature=calibration.temperature,
        skipped=tuple((str(path), reason) for path, reason in skipped.items()),
        learnt=tuple(sorted(file_marks(clip.path for clip in clips))),
        warnings=(*notes, *_warnings(labels, counts, confusion)),
    )
    return Assessment(report, calibration, confidences[measured])


def _named(labels: Sequence[str], answers: Tensor) -> Iterator[str]:
    return (labels[answer] for answer in answers.tolist())


def _warnings(
    labels: Sequence[str], counts: Counter[str], confusion: NDArray[np.int64]
) -> list[str]:
    warnings = []
    if few := [f"{label} ({counts[label]})" for label in labels if counts[label] < FEW_CLIPS]:
        warnings.append(f"fewer than {FEW_CLIPS} clips, expect little of {', '.join(few)}")
    if max(counts.values()) >= UNBALANCED * min(counts.values()):
        warnings.append(
            f"from {min(counts.values())} to {max(counts.values())} clips per class: the accuracy "
            "mostly reflects the large ones; look at the macro recall"
        )
    if unknown := [label for label, row in zip(labels, confusion, strict=True) if not row.any()]:
        warnings.append(f"one recording only, so nothing was measured on: {', '.join(unknown)}")
    return warnings
