"""Results of a pipeline: frozen, readable when printed, and convertible to plain dicts."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from soundsep.errors import AudioError, ConfigError
from soundsep.names import did_you_mean, printable
from soundsep.pipeline.tables import Table

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from soundsep.separator import Separation

__all__ = ["ClipResult", "Event", "Gap", "Prediction", "Scores"]

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
        with _reading(cls, data):
            heard_in = data.get("heard_in")
            where = None if heard_in is None else _text(heard_in)
            return cls(_text(data["label"]), float(data["score"]), where)


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
        with _reading(cls, data):
            path = None if data["path"] is None else _text(data["path"])
            if data.get("error") is not None:
                return cls(path=path, error=_text(data["error"]))
            predictions = tuple(map(Prediction.from_dict, data["predictions"]))
            scored = {p.label: p for p in predictions}
            named = None if data.get("labels") is None else _texts(data["labels"])
            return cls(
                predictions=predictions,
                path=path,
                duration_seconds=float(data["duration_seconds"]),
                is_known=data["label"] is not None,
                named=None
                if named is None
                else tuple(scored.get(label, Prediction(label, math.nan)) for label in named),
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


@dataclass(frozen=True, slots=True)
class Event:
    """A sound and when it was heard.

    Attributes:
        start_seconds: Start, from the beginning of the recording.
        end_seconds: End, from the beginning of the recording.
        label: Name of the sound.
        score: Highest score of its windows, or of its median-filtered frames, from 0 to 1.

    Examples:
        >>> print(Event(12.5, 20.0, "dog", 0.912))
           12.50 -    20.00 s  0.912  dog
    """

    start_seconds: float
    end_seconds: float
    label: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of plain types, ready for JSON."""
        return {
            "start_seconds": round(self.start_seconds, 4),
            "end_seconds": round(self.end_seconds, 4),
            "label": self.label,
            "score": round(self.score, 6),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """What `to_dict` gave, or a line of ``soundsep events -o FILE.jsonl``.

        Other keys are ignored; `soundsep.pipeline.read_events` keeps the recording and the time.

        Raises:
            ConfigError: ``data`` is something else.
        """
        with _reading(cls, data):
            start, end = float(data["start_seconds"]), float(data["end_seconds"])
            return cls(start, end, _text(data["label"]), float(data["score"]))

    def __str__(self) -> str:
        """One line, aligned with those of other events."""
        span = f"{self.start_seconds:8.2f} - {self.end_seconds:8.2f} s"
        return f"{span}  {self.score:.3f}  {self.label}"


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a live recording that was lost because it arrived faster than it was processed.

    Attributes:
        start_seconds: Start of the part in the recording.
        end_seconds: End of the part in the recording.
    """

    start_seconds: float
    end_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of plain types, ready for JSON."""
        return {
            "start_seconds": round(self.start_seconds, 4),
            "end_seconds": round(self.end_seconds, 4),
            "gap": True,
        }

    def __str__(self) -> str:
        """One line, aligned with those of events."""
        return f"{self.start_seconds:8.2f} - {self.end_seconds:8.2f} s  lost"


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Scores:
    """Scores of a model over a recording, by window or, if the model has frames, by frame.

    The scores of a window apply to the hop around its middle, those of a frame to the frame; the
    first row applies from the beginning of the recording, the last until its end.

    Attributes:
        values: (n_rows, n_labels), from 0 to 1; all 0 in a window of digital silence.
        start_seconds: Start of each window or frame, (n_rows,) in float64.
        labels: Names of the columns.
        window_seconds: Length of a window or frame. The first frame is half as long, since the
            middle of each is a multiple of this.
        hop_seconds: Step between windows or frames; the last window may follow sooner.
        duration_seconds: Length of the recording.
        path: Path or name of the recording, if it has one.
        unknown_below: If the pipeline leaves unknown sounds unnamed, the score that the best label
            of a known one reaches.
        spans_seconds: Start and end of what each row applies to, (n_rows, 2); ``None`` if rows
            follow each other as above. A gap between rows is sound that was lost.
        rows: ``"windows"`` or ``"frames"``.
    """

    values: Tensor
    start_seconds: Tensor
    labels: tuple[str, ...]
    window_seconds: float
    hop_seconds: float
    duration_seconds: float
    path: str | None = None
    unknown_below: float | None = None
    spans_seconds: Tensor | None = None
    rows: Literal["windows", "frames"] = "windows"

    def _table(self) -> Table:
        return Table(("start_seconds", "end_seconds", *self.labels), self._spans_and_values())

    def _spans_and_values(self) -> Iterator[dict[str, float]]:
        edges = self.edges_seconds
        spans = edges.unfold(0, 2, 1)
        if self.spans_seconds is not None:
            spans = self.spans_seconds
        for (start, end), values in zip(spans.tolist(), self.values.tolist(), strict=True):
            scores = dict(zip(self.labels, values, strict=True))
            yield {**scores, "start_seconds": start, "end_seconds": end}

    def to_dataframe(self) -> pd.DataFrame:
        """One row per window or frame: its start and end, and the score of each label.

        Raises:
            DependencyError: pandas is not installed.
        """
        return self._table().to_dataframe()

    def to_csv(self, path: str | Path) -> None:
        """Write the table of `to_dataframe`, whole or not at all; pandas is not needed.

        Args:
            path: A file; an existing one is replaced.

        Raises:
            ConfigError: the file cannot be written.
        """
        self._table().to_csv(path)

    def __getitem__(self, label: str) -> Tensor:
        """One label over time, (n_rows,).

        Raises:
            ConfigError: the label is unknown.
        """
        if label not in self.labels:
            hint = did_you_mean(label, self.labels)
            raise ConfigError(f"there is no label {label!r}{hint}; Scores.labels lists them")
        return self.values[:, self.labels.index(label)]

    @property
    def edges_seconds(self) -> Tensor:
        """Boundaries of what the rows apply to, (n_rows + 1,).

        Here the row before a gap spans it; `spans_seconds` tells the two apart.
        """
        edges = self.start_seconds.new_empty(len(self.start_seconds) + 1)
        if self.spans_seconds is not None and len(self.spans_seconds):
            edges[:-1], edges[-1] = self.spans_seconds[:, 0], self.spans_seconds[-1, 1]
            return edges
        edges[1:] = self.start_seconds + (self.window_seconds + self.hop_seconds) / 2
        edges[0], edges[-1] = 0.0, self.duration_seconds
        return edges

    @property
    def is_known(self) -> Tensor:
        """Whether each row holds a known sound, (n_rows,).

        ``False`` in silence and, if the pipeline leaves unknown sounds unnamed, in a row whose best
        score is below `unknown_below`.
        """
        best = self.values.amax(dim=1)
        return best > 0 if self.unknown_below is None else best >= self.unknown_below

    def __repr__(self) -> str:
        """Its size and its most prominent labels."""
        title = printable(self.path or "recording")
        n_rows, n_labels = self.values.shape
        size = f"{n_rows} {self.rows} x {n_labels} labels, {self.duration_seconds:.1f} s"
        if not n_rows:
            return f"Scores({title}: {size})"
        best = self.values.amax(dim=0).topk(min(3, n_labels))
        peaks = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        heard = ", ".join(f"{self.labels[index]} {score:.3f}" for index, score in peaks)
        return f"Scores({title}: {size}; highest {heard})"


@contextmanager
def _reading(kind: type, data: object) -> Iterator[None]:
    """Say what was expected where reading a dictionary fails.

    Raises:
        ConfigError: reading it fails.
    """
    try:
        yield
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        fault = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"expected what {kind.__name__}.to_dict gives, got a {type(data).__name__}: {fault}"
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} is no text")
    return value


def _texts(value: object) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{value!r:.50} is no list of texts")
    return [_text(one) for one in value]
