"""What sounds when: events, gaps, and scores over a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from soundsep.errors import ConfigError
from soundsep.names import did_you_mean, printable
from soundsep.pipeline.reading import reading, text
from soundsep.pipeline.tables import Table, numeral

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Event", "Gap", "Scores"]


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
        with reading(cls, data):
            start, end, score = (
                float(numeral(data[name])) for name in ("start_seconds", "end_seconds", "score")
            )
            return cls(start, end, text(data["label"]), score)

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
        spans = self.spans_seconds
        if spans is None:
            edges = self.edges_seconds
            spans = torch.stack((edges[:-1], edges[1:]), dim=1)
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
