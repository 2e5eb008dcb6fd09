"""Measure a pipeline on labelled clips that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from soundsep.config import check_choice
from soundsep.datasets import Clip, Piece
from soundsep.datasets.clip import checked_clips
from soundsep.datasets.pieces import load_pieces
from soundsep.errors import AudioError, ConfigError, DatasetError
from soundsep.files import saving
from soundsep.metrics import (
    ClassificationMetrics,
    calibration_error,
    class_metrics,
    classification_metrics,
    confusion_matrix,
    independent_trials,
    wilson_interval,
)
from soundsep.metrics.classification import most_confused
from soundsep.names import unknown_labels
from soundsep.pipeline import ClipResult, Pipeline, Prediction

__all__ = ["Evaluation", "evaluate"]

N_CONFUSIONS_PRINTED = 8


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Evaluation:
    """Best labels of a model for labelled clips, and the metrics that follow from them.

    Attributes:
        labels: Names of the classes.
        targets: Index of each clip's class, (n_clips,).
        answers: Index of each clip's best label, (n_clips,).
        scores: Score of each clip's best label, (n_clips,).
        skipped: Path of each clip that was left out, and the reason.
        clips: The clips classified, in the order of the answers; empty if they are not known.
    """

    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    answers: NDArray[np.int64]
    scores: NDArray[np.float64]
    skipped: tuple[tuple[str, str], ...] = ()
    clips: tuple[Clip, ...] = ()

    @classmethod
    def pooled(cls, parts: Sequence[Evaluation]) -> Evaluation:
        """All clips of several evaluations as one, such as the folds of a cross-validation.

        Raises:
            ConfigError: there are none, or their labels differ.
        """
        if len({part.labels for part in parts}) != 1:
            raise ConfigError("only evaluations over the same labels can be pooled, at least one")
        return cls(
            labels=parts[0].labels,
            targets=np.concatenate([part.targets for part in parts]),
            answers=np.concatenate([part.answers for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            skipped=tuple(one for part in parts for one in part.skipped),
            clips=tuple(clip for part in parts for clip in part.clips),
        )

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts of true classes (rows) and predicted ones (columns), (n_classes, n_classes)."""
        return confusion_matrix(self.targets, self.answers, n_classes=len(self.labels))

    @property
    def metrics(self) -> ClassificationMetrics:
        """Accuracy and the macro-averaged metrics."""
        return classification_metrics(self.confusion)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of the best label's score, 15 bins."""
        return calibration_error(self.scores, np.equal(self.targets, self.answers))

    @property
    def n_clips(self) -> int:
        """Number of clips classified."""
        return len(self.targets)

    @property
    def n_recordings(self) -> int:
        """Number of recordings that the clips were cut from."""
        return len(set(self._recordings))

    @property
    def _recordings(self) -> list[str | int]:
        """The recording of each clip; one that is not known counts as a recording of its own."""
        unknown = self.n_clips - len(self.clips)
        return [*(clip.origin for clip in self.clips), *range(unknown)]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of Wilson for the accuracy, over recordings.

        The clips of one recording tend to be right or wrong together, so they count as one, and
        recordings of many clips make the interval wider; that is cautious if clips differ.
        """
        return wilson_interval(self.metrics.accuracy, independent_trials(self._recordings))

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {
            "n_clips": self.n_clips,
            "n_recordings": self.n_recordings,
            "interval_95": [round(bound, 6) for bound in self.interval],
            **{name: round(value, 6) for name, value in asdict(self.metrics).items()},
            "calibration_error": round(self.calibration_error, 6),
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
        }

    def save(self, path: str | Path, *, about: Mapping[str, Any] | None = None) -> None:
        """Write `to_dict` as JSON; an existing file is replaced.

        Args:
            path: The file.
            about: Further entries to put first, such as the name of the model; plain types.

        Raises:
            ConfigError: the file cannot be written.
        """
        with saving(path) as temporary:
            temporary.write_bytes((json.dumps({**(about or {}), **self.to_dict()}) + "\n").encode())

    def class_table(self) -> str:
        """Precision, recall, F1 and number of clips of every class, as a table of text."""
        table = class_metrics(self.confusion)
        width = max(len(label) for label in self.labels)
        rows = zip(
            self.labels, table.precision, table.recall, table.f1, table.n_targets, strict=True
        )
        return "\n".join(
            [
                f"{'class':<{width}}  precision  recall      F1  clips",
                *(f"{a:<{width}}  {p:>9.2%} {r:>7.2%} {f:>7.2%}  {n:>5}" for a, p, r, f, n in rows),
            ]
        )

    def most_confused(self, n: int) -> list[tuple[int, str, str]]:
        """The ``n`` most frequent confusions: count, true class, best label."""
        return most_confused(self.confusion, self.labels, n)

    def __repr__(self) -> str:
        """Its size and the accuracy."""
        accuracy = f"{self.metrics.accuracy:.4f}" if self.n_clips else "unknown"
        return f"Evaluation({self.n_clips} clips, {len(self.labels)} labels, accuracy {accuracy})"

    def __str__(self) -> str:
        """The metrics and the most frequent confusions."""
        metrics, (low, high) = self.metrics, self.interval
        within = f"(95 % interval {low:.1%} to {high:.1%}; {self.n_recordings} recordings)"
        lines = [
            f"clips              {self.n_clips}",
            f"accuracy           {metrics.accuracy:.2%}  {within}",
            f"macro precision    {metrics.macro_precision:.2%}",
            f"macro recall       {metrics.macro_recall:.2%}",
            f"macro F1           {metrics.macro_f1:.2%}",
            f"calibration error  {self.calibration_error:.3f}",
        ]
        if mistakes := self.most_confused(N_CONFUSIONS_PRINTED):
            lines += ["most confused:", *(f"  {n} x {t} taken for {p}" for n, t, p in mistakes)]
        lines += [f"left out: {reason}" for _, reason in self.skipped]
        return "\n".join(lines)


def evaluate(
    pipeline: Pipeline,
    clips: Sequence[Clip],
    *,
    batch_size: int = 16,
    n_shifts: int = 1,
    errors: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> Evaluation:
    """Classify every clip from its file, as a user would, and compare with its label.

    Args:
        pipeline: The model.
        clips: Labelled clips; the caller must make sure that the model was not trained on them.
        batch_size: Windows per forward pass.
        n_shifts: Number of circular shifts of every window to average.
        errors: ``"raise"`` stops at the first clip that cannot be classified, such as a silent one;
            ``"skip"`` leaves such clips out of the metrics and lists them.
        progress: Show a progress bar, if there is a terminal.

    Raises:
        ConfigError: a clip is something else, such as a path, or ``errors`` is another word.
        DatasetError: there are no clips, or none that can be classified, or a label the pipeline
            does not know.
        AudioError: a clip cannot be classified, and ``errors`` is ``"raise"``.
    """
    check_choice("errors", errors, ("raise", "skip"))
    if not checked_clips("evaluate takes clips", clips):
        raise DatasetError("there are no clips to evaluate on")
    if unknown := {clip.label for clip in clips} - set(pipeline.labels):
        raise DatasetError(unknown_labels(unknown, pipeline.labels))
    index = {label: i for i, label in enumerate(pipeline.labels)}
    skipped: dict[Path | Piece, str] = {}
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "n_shifts": n_shifts,
        "progress": progress,
    }
    if errors == "skip":
        options["errors"] = "return"
    found = _best(pipeline, [clip.audio for clip in clips], skipped, **options)
    clips = [clip for clip in clips if clip.audio in found]
    if not clips:
        raise DatasetError(
            f"none of the {len(skipped)} clips can be classified: {next(iter(skipped.values()))}"
        )
    best = [found[clip.audio] for clip in clips]
    # A sound that is heard at the same time is no wrong answer.
    true = [p.label if p.label in c.also else c.label for c, p in zip(clips, best, strict=True)]
    return Evaluation(
        labels=pipeline.labels,
        targets=np.array([index[label] for label in true]),
        answers=np.array([index[prediction.label] for prediction in best]),
        scores=np.array([prediction.score for prediction in best]),
        skipped=tuple((str(one), reason) for one, reason in skipped.items()),
        clips=tuple(clips),
    )


def _best(
    pipeline: Pipeline,
    audio: Sequence[Path | Piece],
    skipped: dict[Path | Piece, str],
    **options: Any,
) -> dict[Path | Piece, Prediction]:
    """The best label of each; what has none is added to ``skipped``, if errors are returned.

    Each long recording is read once for all of its pieces.
    """
    order: list[Path | Piece] = []
    results: list[ClipResult]
    if not any(isinstance(one, Piece) for one in audio):
        order += audio
        results = pipeline([one for one in audio if isinstance(one, Path)], top_k=1, **options)
    else:

        def heard() -> Iterator[dict[str, Any]]:
            for one, waveform in load_pieces(audio, target_rate=pipeline.sample_rate):
                if not isinstance(waveform, AudioError):
                    order.append(one)
                    rate = pipeline.sample_rate
                    yield {"path": str(one), "array": waveform, "sampling_rate": rate}
                elif "errors" in options:
                    skipped[one] = str(waveform)
                else:
                    raise waveform

        results = list(pipeline(heard(), top_k=1, **options))
    found = {}
    for one, result in zip(order, results, strict=True):
        if result.error is None:
            found[one] = result.best
        else:
            skipped[one] = result.error
    return found
