"""Results of clips: frozen, readable when printed, and convertible to plain dicts."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soundsep.errors import AudioError
from soundsep.names import printable
from soundsep.pipeline.reading import reading, text, texts
from soundsep.pipeline.tables import numeral
from soundsep.separator import Separation

__all__ = ["ClipResult", "Prediction"]

N_PRINTED = 5
BAR_WIDTH = 20


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """One label and its score, from 0 to 1.

    Attributes:
        label: Name of the sound.
        score: Score of the label.
        heard_in: If the recording was separated, the source with the best score, or
            ``"mixture"``; else ``None``.
    """

    label: str
    score: float
    heard_in: str | None = None

    def __repr__(self) -> str:
        """With the score in three digits, since many are printed at once."""
        where = "" if self.heard_in is None else f", heard_in={self.heard_in!r}"
        return f"Prediction({self.label!r}, {self.score:.3f}{where})"

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of plain types, ready for JSON."""
        where = {} if self.heard_in is None else {"heard_in": self.heard_in}
        return {"label": self.label, "score": round(self.score, 6), **where}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prediction:
        """What `to_dict` gave; other keys are ignored.

        Raises:
            ConfigError: ``data`` is something else.
        """
        with reading(cls, data):
            heard_in = data.get("heard_in")
            where = None if heard_in is None else text(heard_in)
            return cls(text(data["label"]), float(numeral(data["score"])), where)


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ClipResult:
    """The labels of one recording, best first; or, with ``errors="return"``, why there are none.

    Attributes:
        predictions: All labels, or the ``top_k`` asked for, by falling score.
        path: Path or name of the recording, if it has one.
        duration_seconds: Length of the recording.
        error: Message about what is wrong with the recording; ``None`` if nothing is.
        is_known: Whether a sound was named. ``False`` if the pipeline leaves unknown sounds
            unnamed and the best score is too low, if the recording counts as silence, or if a model
            that names any number of sounds finds none.
        named: For a model that names any number of sounds (``activation="sigmoid"``), the labels
            that reach their thresholds, best first; ``None`` for one that names exactly one.
        separation: The separated recording, a `soundsep.Separation`, if the pipeline has a
            separator and keeps the audio.

    Examples:
        >>> result = ClipResult(
        ...     predictions=(Prediction("dog", 0.9), Prediction("cat", 0.1)), duration_seconds=2.0
        ... )
        >>> result.label, result.score
        ('dog', 0.9)
        >>> print(result)
        clip, 2.0 s
          dog  0.900  ##################
          cat  0.100  ##
    """

    predictions: tuple[Prediction, ...] = ()
    path: str | None = None
    duration_seconds: float = 0.0
    error: str | None = None
    is_known: bool = True
    named: tuple[Prediction, ...] | None = None
    separation: Separation | None = field(default=None, compare=False)

    @property
    def best(self) -> Prediction:
        """The prediction with the highest score.

        Raises:
            AudioError: the recording could not be analysed.
        """
        if self.error is not None:
            raise AudioError(self.error)
        if not self.predictions:
            raise AudioError("the recording is silent, so there are no predictions")
        return self.predictions[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels named, best first; one label for a model that names exactly one.

        Empty if the sound is unknown or the recording silent.

        Raises:
            AudioError: the recording could not be analysed.
        """
        return tuple(p.label for p in self._heard)

    @property
    def label(self) -> str | None:
        """The first of `labels`; ``None`` if there is none."""
        return next(iter(self.labels), None)

    @property
    def score(self) -> float:
        """The score of `label`, or of the best label below its threshold; 0 if there is none."""
        if self._heard:
            return self._heard[0].score
        return self.best.score if self.predictions else 0.0

    @property
    def _heard(self) -> tuple[Prediction, ...]:
        if self.error is not None:
            raise AudioError(self.error)
        if not self.is_known:
            return ()
        return self.predictions[:1] if self.named is None else self.named

    def top(self, k: int) -> tuple[Prediction, ...]:
        """The ``k`` best predictions, or fewer if there are fewer."""
        return self.predictions[: max(0, k)]

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of plain types, ready for JSON."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        return {
            "path": self.path,
            "duration_seconds": round(self.duration_seconds, 3),
            "label": self.label,
            **({} if self.named is None else {"labels": list(self.labels)}),
            "predictions": [p.to_dict() for p in self.predictions],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClipResult:
        """What `to_dict` gave, or a line of ``soundsep classify -o FILE.jsonl``.

        Other keys are ignored. Numbers are as rounded as they were written, and the `separation` is
        not written. A label in `named` that is not among the `predictions` has the score NaN.

        Raises:
            ConfigError: ``data`` is something else.

        Examples:
            >>> result = ClipResult(predictions=(Prediction("dog", 0.9),), path="yard.wav")
            >>> ClipResult.from_dict(result.to_dict()) == result
            True
        """
        with reading(cls, data):
            path = None if data["path"] is None else text(data["path"])
            if data.get("error") is not None:
                return cls(path=path, error=text(data["error"]))
            predictions = tuple(map(Prediction.from_dict, data["predictions"]))
            scored = {p.label: p for p in predictions}
            label = None if data["label"] is None else text(data["label"])
            named = None if data.get("labels") is None else texts(data["labels"])
            return cls(
                predictions=predictions,
                path=path,
                duration_seconds=float(numeral(data["duration_seconds"])),
                is_known=label is not None,
                named=None
                if named is None
                else tuple(scored.get(name, Prediction(name, math.nan)) for name in named),
            )

    def __str__(self) -> str:
        """A table of the five best labels."""
        return self.table(N_PRINTED)

    def table(self, k: int) -> str:
        """The ``k`` best labels with their scores, one per line."""
        title = printable(self.path or "clip")
        if self.error is not None:
            return f"{title}\n  error: {printable(self.error)}"
        shown = self.top(k)
        width = max((len(p.label) for p in shown), default=0)
        rows = (
            f"  {p.label:<{width}}  {p.score:.3f}  "
            + (f"{p.heard_in or '':<8}  " if p.heard_in else "")
            + "#" * round(p.score * BAR_WIDTH)
            for p in shown
        )
        lines = (f"{title}, {self.duration_seconds:.1f} s{self._verdict}", *rows)
        return "\n".join(line.rstrip() for line in lines)

    @property
    def _verdict(self) -> str:
        if not self.predictions:
            return "" if self.is_known else ": nothing to be heard"
        if self.named is None:
            return "" if self.is_known else ": unknown"
        return f": {', '.join(self.labels) or 'nothing known'}"

    def __repr__(self) -> str:
        """Short, since a list of results is often looked at."""
        if self.error is not None:
            return f"ClipResult(path={self.path!r}, error={self.error!r})"
        labels = ", ".join(map(repr, self.labels or (None,)))
        return f"ClipResult({labels}, {self.score:.3f}, path={self.path!r})"

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        title = html.escape(printable(self.path or "clip"))
        if self.error is not None:
            return f"<p><b>{title}</b>: {html.escape(self.error)}</p>"
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(p.label)}</td><td>{p.score:.3f}</td>"
            f"<td><progress max='1' value='{p.score:.3f}'></progress></td>"
            + (f"<td>{html.escape(p.heard_in)}</td>" if p.heard_in else "")
            + "</tr>"
            for p in self.top(N_PRINTED)
        )
        verdict = html.escape(self._verdict)
        caption = f"<caption>{title}, {self.duration_seconds:.1f} s{verdict}</caption>"
        head = "<tr><th style='text-align:left'>label</th><th>score</th><th></th></tr>"
        return f"<table>{caption}{head}{rows}</table>"
