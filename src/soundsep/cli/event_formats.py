"""How events are written: for people, for programs, for Audacity and for Raven."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from soundsep.names import printable

if TYPE_CHECKING:
    from soundsep.pipeline.results import Event

__all__ = ["FORMATS", "EventLines"]

# Endings of the files, where each recording has its own.
FORMATS = {
    "table": ".txt",
    "json": ".jsonl",
    "csv": ".csv",
    "audacity": ".txt",
    "raven": ".Table.1.selections.txt",
}
CSV_COLUMNS = ("path", "start_seconds", "end_seconds", "label", "score")
RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Annotation",
    "Score",
)


class EventLines:
    """The lines of one file of events; the file of one recording or of several.

    Args:
        kind: One of `FORMATS`.
        high_hz: Highest frequency that the model hears; the upper edge of a selection in Raven.
        titles: The name of each recording stands above its table.
    """

    def __init__(self, kind: str, *, high_hz: float, titles: bool) -> None:
        self._kind, self._high_hz, self._titles = kind, high_hz, titles
        self._n_events = 0

    def head(self) -> list[str]:
        """What stands above all events."""
        if self._kind == "csv":
            return [_joined(CSV_COLUMNS, ",")]
        return [_joined(RAVEN_COLUMNS, "\t")] if self._kind == "raven" else []

    def title(self, path: str) -> list[str]:
        """What stands above the events of a recording."""
        return [printable(path)] if self._titles and self._kind == "table" else []

    def line(self, path: str, event: Event) -> str:
        """The next event."""
        self._n_events += 1
        start, end = f"{event.start_seconds:.4f}", f"{event.end_seconds:.4f}"
        score = f"{event.score:.4f}"
        if self._kind == "json":
            return json.dumps({"path": path, **event.to_dict()})
        if self._kind == "csv":
            return _joined((path, start, end, event.label, score), ",")
        if self._kind == "audacity":
            return _joined((start, end, event.label), "\t")
        if self._kind == "raven":
            number, high = str(self._n_events), f"{self._high_hz:.1f}"
            box = (number, "Spectrogram 1", "1", start, end, "0.0", high)
            return _joined((*box, event.label, score), "\t")
        return str(event)


def _joined(cells: Iterable[str], delimiter: str) -> str:
    text = io.StringIO()
    # Whatever stands in the ending of lines is quoted, so that every line break in a name is.
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")
