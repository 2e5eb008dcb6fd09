"""Options of commands that find events: the model, and what counts as an event."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from soundsep.cli.options import DEFAULT_EVENT_MODEL, add_doubt, add_model
from soundsep.cli.startup import import_torch
from soundsep.errors import ConfigError
from soundsep.names import meant, unknown_labels

if TYPE_CHECKING:
    from soundsep.pipeline import Pipeline

__all__ = ["add_event_options", "found_options", "load_pipeline"]


def add_event_options(command: argparse.ArgumentParser) -> None:
    """The model, and what counts as an event."""
    add_model(command, DEFAULT_EVENT_MODEL)
    command.add_argument(
        "--label",
        action="append",
        metavar="LABEL",
        help="report this label only, in upper or lower case; may be repeated (default: all)",
    )
    command.add_argument(
        "--threshold",
        action="append",
        type=_threshold,
        metavar="[LABEL=]SCORE",
        help="score at which an event begins, for all labels or for one; may be repeated "
        "(default: the model's own for each label, else 0.5)",
    )
    command.add_argument(
        "--min-score",
        type=float,
        default=0.0,
        metavar="SCORE",
        help="drop events whose highest score is lower (default: 0)",
    )
    command.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="step between windows; a larger one takes less time (default: the model's own, 2.5 in "
        "published ones)",
    )
    command.add_argument(
        "--min-duration",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="drop shorter events (default: 0)",
    )
    command.add_argument(
        "--merge-gap",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="merge events of a label that are at most this far apart (default: 1)",
    )
    add_doubt(command)


def load_pipeline(arguments: argparse.Namespace) -> Pipeline:
    """The model of `add_event_options`.

    Raises:
        ConfigError: the model does not know a requested label.
    """
    import_torch()
    from soundsep.pipeline import Pipeline

    pipe = Pipeline.from_pretrained(
        arguments.model,
        unknown=arguments.unknown,
        silence_db=arguments.silence_db,
        device=arguments.device,
        runtime=arguments.runtime,
    )
    if arguments.label:
        arguments.label = [meant(label, pipe.labels) for label in arguments.label]
    if arguments.threshold:
        arguments.threshold = [
            (label and meant(label, pipe.labels), score) for label, score in arguments.threshold
        ]
    asked = {label for label, _ in arguments.threshold or () if label is not None}
    if unknown := {*asked, *(arguments.label or ())} - set(pipe.labels):
        raise ConfigError(unknown_labels(unknown, pipe.labels))
    return pipe


def found_options(arguments: argparse.Namespace, pipe: Pipeline) -> dict[str, Any]:
    """The options of `add_event_options` as `Pipeline.events` and `listen` take them."""
    thresholds: dict[str, float] = {}
    for label, score in sorted(arguments.threshold or (), key=lambda item: item[0] is not None):
        thresholds |= dict.fromkeys(pipe.labels, score) if label is None else {label: score}
    return {
        "threshold": thresholds or None,
        "hop_seconds": arguments.hop,
        "min_duration_seconds": arguments.min_duration,
        "merge_gap_seconds": arguments.merge_gap,
        "labels": arguments.label,
        "min_score": arguments.min_score,
        "batch_size": arguments.batch_size,
    }


def _threshold(text: str) -> tuple[str | None, float]:
    """A score, or LABEL=SCORE; the label may contain an equals sign itself."""
    label, is_of_one, score = text.rpartition("=")
    try:
        return (label if is_of_one else None), float(score)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a score, such as 0.6, or LABEL=SCORE, such as dog=0.8, got {text!r}"
        ) from None
