"""How events are written: for people, for programs, for Audacity and for Raven."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from soundsep.pipeline.results import Event

__all__ = ["FORMATS", "EventWriter"]

# Endings of the files, where each recording has its own.
FORMATS = {
    "table": ".txt",
    "json": ".jsonl",
    "csv": ".csv",
    "audacity": ".txt",
    "raven": ".Table.1.selections.txt",
}
CSV_COLUMNS = ("source", "start_seconds", "end_seconds", "label", "score")
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


class EventWriter:
    """Writes the events of one recording or several to one place, a line each, as they come.

    Args:
        kind: One of `FORMATS`.
        stream: Where lines go.
        high_hz: Highest frequency that the model hears; the upper edge of a selection in Raven.
        titles: Write the name of each recording above its table.
    """

    def __init__(self, kind: str, stream: TextIO, *, high_hz: float, titles: bool) -> None:
        self._kind, self._stream, self._high_hz = kind, stream, high_hz
        self._titles = titles and kind == "table"
        self._n_events = 0
        if kind == "csv":
            self._write(_joined(CSV_COLUMNS, ","))
        elif kind == "raven":
            self._write(_joined(RAVEN_COLUMNS, "\t"))

    def begin(self, source: str) -> None:
        """The events that follow are those of this recording."""
        self._source = source
        if self._titles:
            self._write(source)

    def write(self, event: Event) -> None:
        """Write a line."""
        self._n_events += 1
        self._write(self._line(event))

    def _line(self, event: Event) -> str:
        start, end = f"{event.start_seconds:.4f}", f"{event.end_seconds:.4f}"
        score = f"{event.score:.4f}"
        if self._kind == "json":
            return json.dumps({"source": self._source, **event.to_dict()})
        if self._kind == "csv":
            return _joined((self._source, start, end, event.label, score), ",")
        if self._kind == "audacity":
            return _joined((start, end, event.label), "\t")
        if self._kind == "raven":
            number, high = str(self._n_events), f"{self._high_hz:.1f}"
            box = (number, "Spectrogram 1", "1", start, end, "0.0", high)
            return _joined((*box, event.label, score), "\t")
        return str(event)

    def _write(self, line: str) -> None:
        from tqdm import tqdm

        tqdm.write(line, file=self._stream)  # past a progress bar, which may share the terminal
        self._stream.flush()


def _joined(cells: Iterable[str], delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(cells)
    return text.getvalue()
