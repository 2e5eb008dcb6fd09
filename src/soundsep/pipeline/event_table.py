"""Reads tables of events that were written before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from soundsep.errors import ConfigError, DatasetError, DependencyError
from soundsep.files import parse_json
from soundsep.names import label_fault, local_path
from soundsep.pipeline.tables import numeral, read_rows, utf8_fault
from soundsep.pipeline.timeline import Event

__all__ = ["TimedEvent", "read_events"]

NEEDED = ("start_seconds", "end_seconds", "label")
MAX_SECONDS = 1e10  # three centuries, so that the time of day of every event exists
YEARS = range(1860, 2600)  # those of recordings and of what began that much later


class TimedEvent(NamedTuple):
    """An event of a table.

    Attributes:
        path: Path of its recording; empty if the table has none.
        event: The event; its score is 1 if the table has none.
        start_time: The time of day at which it begins, if the table states it.
    """

    path: str
    event: Event
    start_time: datetime | None


def read_events(path: str | Path, *, kind: str | None = None) -> Iterator[TimedEvent]:
    """Read a table that ``soundsep events`` wrote, one event after the other.

    The lines of ``soundsep listen --json`` are such a table too; its gaps are left out.

    Args:
        path: A ``.csv``, ``.jsonl`` or ``.parquet`` file with the columns ``start_seconds``,
            ``end_seconds`` and ``label``, and optionally ``path``, ``score``, ``start_time``.
        kind: "csv", "jsonl" or "parquet"; by default the suffix of the path.

    Raises:
        ConfigError: the suffix is none of these.
        DatasetError: the file cannot be read, or a row is not an event.
        DependencyError: the file is Parquet and pyarrow is not installed.
    """
    path = local_path(path)
    kind = kind or path.suffix.lower().removeprefix(".").replace("ndjson", "jsonl")
    readers = {"csv": _csv_rows, "jsonl": _json_rows, "json": _json_rows, "parquet": _parquet_rows}
    if kind not in readers:
        raise ConfigError(f"{path}: expected a table of events in .csv, .jsonl or .parquet")
    try:
        for where, row in readers[kind](path):
            yield _event(where, row)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} {utf8_fault(error.object)}") from error
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise DatasetError(f"{path} is not a table of events: {error}") from error


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return read_rows(path, NEEDED, exact=True)


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row = parse_json(line)
                if not (isinstance(row, dict) and row.get("gap") is True):
                    yield f"{path}, line {number}", row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DependencyError(
            f"reading Parquet needs pyarrow, which cannot be imported: {error}; install it with: "
            "pip install pyarrow"
        ) from error
    number = 0
    # Arrow itself opens only names in UTF-8.
    with path.open("rb") as stream, pq.ParquetFile(stream) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row


def _event(where: str, row: Any) -> TimedEvent:
    if not isinstance(row, Mapping) or any(row.get(name) in (None, "") for name in NEEDED):
        absent = [name for name in NEEDED if isinstance(row, Mapping) and name not in row]
        hint = f"; the table has no {' and no '.join(absent)}" if absent else ""
        raise DatasetError(f"{where}: expected values for {', '.join(NEEDED)}{hint}")
    numbers = [row["start_seconds"], row["end_seconds"], row.get("score")]
    label, told = row["label"], row.get("start_time") or None
    if not isinstance(label, str) or any(isinstance(number, bool) for number in numbers):
        raise DatasetError(f"{where}: expected a text as label, and numbers, got {label!r:.80}")
    if fault := _label_fault(label.strip()):
        raise DatasetError(f"{where}: not a label: {fault}")
    try:
        start, end = float(numeral(numbers[0])), float(numeral(numbers[1]))
        score = float(1.0 if numbers[2] in (None, "") else numeral(numbers[2]))
        when = None if told is None else datetime.fromisoformat(str(told).replace("Z", "+00:00"))
    except (TypeError, ValueError, OverflowError) as error:  # a list, no number, a huge one
        raise DatasetError(f"{where}: {error}") from error
    if not 0 <= start <= end <= MAX_SECONDS or not 0 <= score <= 1:
        raise DatasetError(
            f"{where}: expected a start of at least 0 s, an end not before it, at most "
            f"{MAX_SECONDS:g} s, and a score from 0 to 1, got {start} to {end} with {score}"
        )
    if when is not None and when.year not in YEARS:
        raise DatasetError(
            f"{where}: expected a start_time from {YEARS[0]} to {YEARS[-1]}, got {told!s:.80}"
        )
    path = row.get("path")
    event = Event(start, end, label.strip(), score)
    return TimedEvent(path if isinstance(path, str) else "", event, when)


_label_fault = lru_cache(maxsize=1024)(label_fault)  # a table repeats few labels many times
