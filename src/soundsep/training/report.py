"""The report of a fit to your own classes, in figures and in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundsep.files import saving
from soundsep.metrics.classification import most_confused

__all__ = ["FitReport"]

N_CONFUSIONS_PRINTED = 5


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class FitReport:
    """The data of `soundsep.fit`, and the accuracy on recordings held out.

    Whole recordings are held out in turn, as `soundsep.datasets.AudioFolder` distinguishes them.
    The clips of one recording tend to be right or wrong together, so they count as one in the
    confidence interval; that is cautious if they differ.

    Attributes:
        mode: ``"probe"`` or ``"finetune"``.
        backbone: Name of the backbone.
        labels: Names of the classes.
        clips_per_class: Number of clips of each class.
        recordings_per_class: Number of recordings of each class.
        n_recordings: Number of all recordings; some may hold several classes.
        n_folds: Number of folds of the recordings; 0 if nothing could be held out.
        n_recordings_measured: Number of recordings that were held out once.
        accuracy: Share of the held-out clips that are right; ``None`` if there are none.
        interval: 95 % confidence interval of the accuracy: Wilson's, over recordings.
        confusion: Counts over the held-out clips, (n_classes, n_classes); rows are true classes,
            columns predictions.
        calibration_error: Expected calibration error of the scores of held-out clips, each with a
            temperature fitted without its fold.
        temperature: Temperature of the classifier, fitted to all held-out clips.
        activation: ``"softmax"`` if the classifier gives exactly one label, ``"sigmoid"`` if it
            gives any number of them, or none.
        threshold: Score below which the classifier names nothing; with ``"softmax"`` only in a
            pipeline with ``unknown=True``.
        noise_named: Share of noises that reach it; none that was learnt from, or chose it.
        clips_named: Share of the held-out clips whose best score reaches it.
        skipped: Path of each file that was left out, and the reason.
        warnings: Warnings about the data, one line each.
        learnt: The first digits of the sha256 of each file that was learnt from; see
            `soundsep.training.learnt_clips`.
    """

    mode: str
    backbone: str
    labels: tuple[str, ...]
    clips_per_class: tuple[int, ...]
    recordings_per_class: tuple[int, ...]
    n_recordings: int
    n_folds: int
    n_recordings_measured: int
    accuracy: float | None
    interval: tuple[float, float] | None
    confusion: NDArray[np.int64]
    calibration_error: float | None
    temperature: float
    activation: str = "softmax"
    threshold: float | None = None
    noise_named: float | None = None
    clips_named: float | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    learnt: tuple[str, ...] = ()

    @property
    def n_clips(self) -> int:
        """Number of clips that the classifier was fitted to."""
        return sum(self.clips_per_class)

    @property
    def recalls(self) -> tuple[float | None, ...]:
        """Share of each class's held-out clips that are right; ``None`` without any."""
        rows = zip(self.confusion.tolist(), range(len(self.labels)), strict=True)
        return tuple(row[i] / sum(row) if sum(row) else None for row, i in rows)

    @property
    def macro_recall(self) -> float | None:
        """Mean of `recalls`, which is the accuracy with equally many clips of every class."""
        known = [recall for recall in self.recalls if recall is not None]
        return sum(known) / len(known) if known else None

    @property
    def worth(self) -> str:
        """A few sentences on the meaning and the limits of the accuracy."""
        if self.accuracy is None:
            return (
                "Nothing is known of how well this works: add recordings, or name the recordings "
                "of a class apart."
            )
        text = (
            "It is what to expect of new recordings made like these: same places, same recorder, "
            "same way of choosing clips. Elsewhere expect less, and measure it there. Anything "
            "that is none of the classes "
        )
        text += (
            "is still given one of them, unless unknown=True or --unknown leaves it unnamed."
            if self.activation == "softmax"
            else "may be given one of them all the same; plain noise should not."
        )
        if self.n_recordings == self.n_clips:
            text += (
                " Every file was taken for a recording of its own; if some were cut from one "
                "recording, the accuracy is too high until they are grouped."
            )
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {
            "mode": self.mode,
            "backbone": self.backbone,
            "n_clips": self.n_clips,
            "n_recordings": self.n_recordings,
            "n_folds": self.n_folds,
            "n_recordings_measured": self.n_recordings_measured,
            "accuracy": _rounded(self.accuracy),
            "interval_95": self.interval and [_rounded(bound) for bound in self.interval],
            "macro_recall": _rounded(self.macro_recall),
            "calibration_error": _rounded(self.calibration_error),
            "temperature": _rounded(self.temperature),
            "activation": self.activation,
            "threshold": _rounded(self.threshold),
            "noise_named": _rounded(self.noise_named),
            "clips_named": _rounded(self.clips_named),
            "classes": [
                {"label": label, "clips": clips, "recordings": n, "recall": _rounded(recall)}
                for label, clips, n, recall in self._rows()
            ],
            "confusion": self.confusion.tolist(),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "warnings": list(self.warnings),
            "worth": self.worth,
            "learnt": " ".join(self.learnt),
        }

    def save(self, path: str | Path) -> None:
        """Write `to_dict` as JSON; an existing file is replaced.

        Raises:
            ConfigError: the file cannot be written.
        """
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        with saving(path) as temporary:
            temporary.write_bytes(text.encode())

    def most_confused(self, n: int) -> list[tuple[int, str, str]]:
        """The most frequent mistakes: number of clips, true class, predicted class.

        Args:
            n: Largest number of mistakes returned.
        """
        return most_confused(self.confusion, self.labels, n)

    def _rows(self) -> list[tuple[str, int, int, float | None]]:
        columns = (self.labels, self.clips_per_class, self.recordings_per_class, self.recalls)
        return list(zip(*columns, strict=True))

    def __repr__(self) -> str:
        """The mode, the backbone, the size of the data and the accuracy."""
        size = f"{self.n_clips} clips, {len(self.labels)} labels"
        accuracy = "unknown" if self.accuracy is None else f"{self.accuracy:.4f}"
        return f"FitReport({self.mode} on {self.backbone}: {size}, accuracy {accuracy})"

    def __str__(self) -> str:
        """The figures, one line per class, the most frequent mistakes, and what they mean."""
        lines = [
            f"{len(self.labels)} classes, {self.n_clips} clips, {self.n_recordings} recordings; "
            f"{self.mode} on {self.backbone}",
        ]
        if self.accuracy is None or self.interval is None:
            lines.append("held-out accuracy  not measured: no class has two recordings")
        else:
            low, high = self.interval
            lines += [
                f"held-out accuracy  {self.accuracy:.1%}  (95 % interval {low:.0%} to {high:.0%}; "
                f"{self.n_folds} folds, {self.n_recordings_measured} recordings)",
                f"macro recall       {self.macro_recall:.1%}",
                f"calibration error  {self.calibration_error:.3f}",
            ]
        if self.clips_named is not None:
            # Without --unknown a plain model names everything: no accuracy, and no part of one.
            is_plain = self.activation == "softmax"
            lines.append(
                f"{'with --unknown' if is_plain else 'get a label':<18} {self.clips_named:.1%} of "
                f"these clips, {self.noise_named:.1%} of noise {'still get a label ' * is_plain}"
                f"(from a score of {self.threshold:g})"
            )
        width = max(5, *map(len, self.labels))
        lines.append(f"{'class':<{width}}  clips  recordings  recall")
        for label, clips, n, recall in self._rows():
            share = "not measured" if recall is None else f"{recall:.0%}"
            lines.append(f"{label:<{width}}  {clips:>5}  {n:>10}  {share:>6}")
        if mistakes := self.most_confused(N_CONFUSIONS_PRINTED):
            lines += ["most confused:", *(f"  {n} x {t} taken for {p}" for n, t, p in mistakes)]
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [f"left out: {reason}" for _, reason in self.skipped]
        return "\n".join((*lines, "", f"What the accuracy is worth: {self.worth}"))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
