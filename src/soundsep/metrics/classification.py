"""Metrics of classification: accuracy, precision, recall, F1, confusions, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundsep.config import check_seed, check_whole
from soundsep.errors import ShapeError

__all__ = [
    "ClassMetrics",
    "ClassificationMetrics",
    "average_precision",
    "calibration_error",
    "calibration_floor",
    "class_metrics",
    "classification_metrics",
    "confusion_matrix",
    "most_confused",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassificationMetrics:
    """Metrics of one evaluation, each a share from 0 to 1.

    The macro metrics are plain means over the classes that occur as a target or a prediction.
    Precision, recall and F1 of a class with nothing to divide by are 0, as in scikit-learn.

    Attributes:
        accuracy: Share of the predictions that are right.
        macro_precision: Mean of the classes' precision.
        macro_recall: Mean of the classes' recall.
        macro_f1: Mean of the classes' F1.
    """

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClassMetrics:
    """Metrics of each class, each (n_classes,); 0 where there is nothing to divide by.

    Attributes:
        precision: Share of the predictions of the class that are right.
        recall: Share of the clips of the class that are predicted as such.
        f1: Harmonic mean of precision and recall.
        n_targets: Number of clips of the class.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    n_targets: NDArray[np.int64]


def confusion_matrix(
    targets: ArrayLike, predictions: ArrayLike, *, n_classes: int
) -> NDArray[np.int64]:
    """How often each class (row) was predicted as each class (column).

    Args:
        targets: True class of each clip, an integer from 0.
        predictions: Predicted class of each clip, an integer from 0.
        n_classes: Number of classes.

    Shape:
        targets, predictions: (n,). Returns (n_classes, n_classes).

    Raises:
        ShapeError: the two differ in shape, are empty, or hold a class out of range.

    Examples:
        >>> confusion_matrix([0, 0, 1], [0, 1, 1], n_classes=2).tolist()
        [[1, 1], [0, 1]]
    """
    true, predicted = np.asarray(targets), np.asarray(predictions)
    if true.ndim != 1 or true.shape != predicted.shape or true.size == 0:
        raise ShapeError(
            "targets and predictions must be two lists of the same length, at least 1; got shapes "
            f"{true.shape} and {predicted.shape}"
        )
    for name, values in (("targets", true), ("predictions", predicted)):
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= n_classes:
            raise ShapeError(f"{name} must be integers from 0 to {n_classes - 1}")
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (true, predicted), 1)
    return counts


def most_confused(
    confusion: NDArray[np.int64], labels: Sequence[str], n: int
) -> list[tuple[int, str, str]]:
    """The most frequent mistakes: count, true class and predicted class.

    Args:
        confusion: Counts as of `confusion_matrix`.
        labels: Names of the classes, in order.
        n: Largest number of mistakes returned.

    Raises:
        ConfigError: ``n`` is no integer of at least 0.

    Examples:
        >>> most_confused(np.array([[5, 1], [2, 5]]), ["dog", "rain"], 2)
        [(2, 'rain', 'dog'), (1, 'dog', 'rain')]
    """
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[: check_whole("n", n, least=0)]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [(int(wrong[i, j]), labels[i], labels[j]) for i, j in pairs if wrong[i, j]]


def classification_metrics(confusion: NDArray[np.int64]) -> ClassificationMetrics:
    """Accuracy and the macro-averaged metrics of a confusion matrix.

    Shape:
        confusion: (n_classes, n_classes), rows are targets, columns predictions.

    Raises:
        ShapeError: not a square matrix of integers, or nothing was counted.

    Examples:
        >>> classification_metrics(np.array([[1, 1], [0, 2]])).accuracy
        0.75
    """
    table = class_metrics(confusion)
    occurs = table.n_targets + confusion.sum(axis=0) > 0
    return ClassificationMetrics(
        accuracy=float(np.diag(confusion).sum() / confusion.sum()),
        macro_precision=float(table.precision[occurs].mean()),
        macro_recall=float(table.recall[occurs].mean()),
        macro_f1=float(table.f1[occurs].mean()),
    )


def class_metrics(confusion: NDArray[np.int64]) -> ClassMetrics:
    """Precision, recall and F1 of every class of a confusion matrix.

    Shape:
        confusion: (n_classes, n_classes), rows are targets, columns predictions.

    Raises:
        ShapeError: not a square matrix of integers, or nothing was counted.

    Examples:
        >>> class_metrics(np.array([[1, 1], [0, 2]])).recall.tolist()
        [0.5, 1.0]
    """
    is_square = confusion.ndim == 2 and confusion.shape[0] == confusion.shape[1]
    if not is_square or confusion.dtype.kind not in "iu" or confusion.sum() == 0:
        raise ShapeError(
            f"expected a square matrix of counts, got shape {confusion.shape} of {confusion.dtype}"
        )
    right = np.diag(confusion).astype(np.float64)
    n_targets, n_predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassMetrics(
        precision=right / np.maximum(n_predicted, 1),
        recall=right / np.maximum(n_targets, 1),
        f1=2 * right / np.maximum(n_targets + n_predicted, 1),
        n_targets=n_targets,
    )


def calibration_error(confidences: ArrayLike, correct: ArrayLike, *, n_bins: int = 15) -> float:
    """Expected calibration error: how far scores are from the share of predictions that are right.

    Confidences are sorted into bins of equal width; the gap between mean confidence and accuracy of
    each bin is averaged, weighted by its number of predictions.

    Args:
        confidences: Score of each prediction, 0 to 1.
        correct: Whether each prediction is right.
        n_bins: Number of bins, at least 1.

    Shape:
        confidences, correct: (n,).

    Raises:
        ShapeError: the two differ in shape or are empty, or a confidence is not from 0 to 1.
        ConfigError: ``n_bins`` is below 1.

    References:
        Guo et al. (2017), "On calibration of modern neural networks", ICML, eq. 3.

    Examples:
        >>> calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False])
        0.0
    """
    confidence, right = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if confidence.ndim != 1 or confidence.shape != right.shape or confidence.size == 0:
        raise ShapeError(
            "confidences and correct must be two lists of the same length, at least 1; got shapes "
            f"{confidence.shape} and {right.shape}"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ShapeError("confidences must be numbers from 0 to 1")
    check_whole("n_bins", n_bins, least=1)
    bins = np.maximum(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0)  # 0 is in the lowest
    gaps = np.bincount(bins, weights=confidence - right, minlength=n_bins)
    return float(np.abs(gaps).sum() / confidence.size)


def calibration_floor(
    confidences: ArrayLike, *, n_bins: int = 15, n_draws: int = 1000, seed: int = 0
) -> float:
    """The `calibration_error` expected for a perfectly calibrated model at this sample size.

    With few predictions in a bin, the share that is right is never quite the mean confidence. An
    error no larger than this says nothing against the model.

    Args:
        confidences: Score of each prediction, 0 to 1.
        n_bins: Number of bins, at least 1.
        n_draws: Number of random draws of right and wrong, of which the mean is returned.
        seed: Seed of the draws.

    Shape:
        confidences: (n,).

    Raises:
        ShapeError: there are no confidences, or one is not from 0 to 1.
        ConfigError: ``n_bins`` or ``n_draws`` is below 1, or ``seed`` is not a seed.

    References:
        Roelofs et al. (2022), "Mitigating bias in calibration error estimation", AISTATS, for the
        bias at small sample sizes.
    """
    check_whole("n_draws", n_draws, least=1)
    check_seed(seed)
    confidence = np.asarray(confidences, np.float64)
    rng = np.random.default_rng(seed)
    draws = (
        calibration_error(confidence, rng.random(confidence.shape) < confidence, n_bins=n_bins)
        for _ in range(n_draws)
    )
    return float(np.mean([*draws]))


def average_precision(relevant: ArrayLike, scores: ArrayLike) -> float:
    """Area under the steps of the precision-recall curve of one ranking.

    Args:
        relevant: Whether each item is one of those looked for.
        scores: Score of each item; the highest ranks first, equal scores share one step.

    Shape:
        relevant, scores: (n,).

    Raises:
        ShapeError: the two differ in shape, nothing is relevant, or a score is NaN.

    Examples:
        >>> round(average_precision([True, False, True], [0.9, 0.8, 0.7]), 3)
        0.833
    """
    hits, values = np.asarray(relevant, bool), np.asarray(scores, np.float64)
    if hits.ndim != 1 or hits.shape != values.shape or not hits.any():
        raise ShapeError(
            "relevant and scores must be two lists of the same length, with something relevant; "
            f"got shapes {hits.shape} and {values.shape}"
        )
    if np.isnan(values).any():
        raise ShapeError("scores must be numbers, found NaN")
    order = np.argsort(-values)
    found = np.cumsum(hits[order])
    ranked = values[order]
    is_last = np.append(ranked[1:] != ranked[:-1], [True])  # of its score
    precision = (found / np.arange(1, hits.size + 1))[is_last]
    gained = np.diff(found[is_last], prepend=0)
    return float((precision * gained).sum() / found[-1])
