"""What a classifier of one's own has to keep to, checked before and while it is used."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor, nn

from soundsep.classifier.protocol import ClassifierLike
from soundsep.config import check_choice, check_kind, check_number, check_whole
from soundsep.errors import ConfigError, ShapeError

__all__ = ["check_classifier", "frame_scores_of", "reaches", "scores_of"]

ATTRIBUTES = ("config", "labels", "sample_rate", "frame_length", "predict", "frame_scores")
# As in `ClassifierConfig`: digital silence has the score 0, and must reach no threshold.
PER_LABEL = {"label_thresholds": {"above": 0.0, "most": 1.0}, "label_medians": {"least": 0.0}}
TOLERANCE = 1e-3  # of a score; runtimes round


def check_classifier(owner: str, classifier: Any) -> None:
    """Refuse what is no classifier, or one whose labels and settings do not fit each other.

    Args:
        owner: Name of the class that takes it.
        classifier: Value to check.

    Raises:
        ConfigError: it is something else, or what it states is no number, out of range, or not one
            value per label; the message names the attribute.
    """
    missing = [name for name in ATTRIBUTES if not hasattr(classifier, name)]
    if missing and (isinstance(classifier, nn.Module) or len(missing) < len(ATTRIBUTES)):
        raise ConfigError(
            f"{owner} takes a Classifier or a ClassifierLike, but {type(classifier).__name__} has "
            f"no {', '.join(missing)}"
        )
    check_kind(owner, classifier, ClassifierLike)
    name = type(classifier).__name__
    if isinstance(classifier, type):
        raise ConfigError(f"{owner} takes an object, got the class {classifier.__name__} itself")
    check_whole(f"{name}.sample_rate", classifier.sample_rate, least=1)
    if classifier.frame_length is not None:
        check_whole(f"{name}.frame_length", classifier.frame_length, least=1)
    labels = classifier.labels
    if not _are_names(labels):
        raise ConfigError(f"{name}.labels must be a tuple of distinct strings, got {labels!r:.80}")
    for field in ("window_samples", "hop_samples", "min_samples", "window_bytes"):
        check_whole(f"{name}.config.{field}", _setting(classifier, field), least=1)
    for field in ("window_seconds", "hop_seconds"):
        check_number(f"{name}.config.{field}", _setting(classifier, field), above=0)
    check_choice(f"{name}.config.padding", _setting(classifier, "padding"), ("zero", "reflect"))
    activation = _setting(classifier, "activation")
    check_choice(f"{name}.config.activation", activation, ("softmax", "sigmoid"))
    if (unknown_below := _setting(classifier, "unknown_below")) is not None:
        check_number(f"{name}.config.unknown_below", unknown_below, above=0, most=1)
    for field, bounds in PER_LABEL.items():
        values = _setting(classifier, field)
        if not isinstance(values, Collection) or len(values) != len(labels):
            raise ConfigError(
                f"{name}.config.{field} must hold a number for each of the {len(labels)} labels, "
                f"got {values!r:.80}"
            )
        for value in values:
            check_number(f"{name}.config.{field}", value, **bounds)


def scores_of(classifier: ClassifierLike, windows: Tensor) -> Tensor:
    """What `ClassifierLike.predict` gives, in float32, if it is what a pipeline takes.

    Shape:
        windows: (batch, time). Returns (batch, n_labels).

    Raises:
        ShapeError: the scores are no tensor, of another shape, or not from 0 to 1.
    """
    scores = classifier.predict(windows)
    wanted = (len(windows), len(classifier.labels))
    return _checked(f"{type(classifier).__name__}.predict", scores, wanted)


def frame_scores_of(classifier: ClassifierLike, windows: Tensor) -> Tensor:
    """What `ClassifierLike.frame_scores` gives, in float32, if it is what a pipeline takes.

    Shape:
        windows: (batch, time). Returns (batch, n_frames, n_labels), with a frame for every
        `frame_length` begun, or one more or less.

    Raises:
        ShapeError: the scores are no tensor, of another shape, or not from 0 to 1.
    """
    assert classifier.frame_length is not None, "only asked for if there are frames"
    scores = classifier.frame_scores(windows)
    name, n_frames = type(classifier).__name__, -(-windows.shape[1] // classifier.frame_length)
    if isinstance(scores, Tensor) and scores.ndim == 3 and abs(scores.shape[1] - n_frames) <= 1:
        n_frames = scores.shape[1]
    wanted = (len(windows), n_frames, len(classifier.labels))
    return _checked(f"{name}.frame_scores", scores, wanted)


def reaches(scores: ArrayLike, limit: ArrayLike) -> Any:
    """Whether scores reach a limit, by the one rule for both: compared in float32.

    Scores are computed in float32, in which most limits do not exist. Compared in float64, the
    score nearest to a limit of 0.7 would be below it. Comparing a float32 tensor with a number
    rounds the number too, so that tensors need no function.

    Args:
        scores: A score or an array of them, of any precision.
        limit: A number, or one for each score.

    Examples:
        >>> float(np.float32(0.7)) >= 0.7
        False
        >>> bool(reaches(float(np.float32(0.7)), 0.7))
        True
    """
    return np.asarray(scores, np.float32) >= np.asarray(limit, np.float32)


def _are_names(labels: Any) -> bool:
    return (
        isinstance(labels, tuple)
        and 1 <= len(set(labels)) == len(labels)
        and all(isinstance(label, str) for label in labels)
    )


def _setting(classifier: ClassifierLike, field: str) -> Any:
    try:
        return getattr(classifier.config, field)
    except AttributeError as error:
        raise ConfigError(
            f"{type(classifier).__name__}.config has no {field}; "
            "soundsep.classifier.ScoringSettings lists what it must have"
        ) from error


def _checked(what: str, scores: Any, wanted: tuple[int, ...]) -> Tensor:
    axes = "(batch, n_labels)" if len(wanted) == 2 else "(batch, n_frames, n_labels)"
    if not isinstance(scores, Tensor):
        raise ShapeError(f"{what} gave {type(scores).__name__}, expected a tensor {axes}")
    if scores.shape != wanted or not scores.is_floating_point():
        raise ShapeError(
            f"{what} gave {tuple(scores.shape)} of {scores.dtype}, expected floating-point scores "
            f"{axes}, here {wanted}"
        )
    if scores.numel():
        least, most = (float(bound) for bound in scores.aminmax())
        if least < -TOLERANCE or most > 1 + TOLERANCE:  # not so of NaN, which has its own error
            raise ShapeError(
                f"{what} gave scores from {least:.3g} to {most:.3g}, expected probabilities from 0 "
                "to 1: apply softmax or sigmoid"
            )
    return scores.float()
