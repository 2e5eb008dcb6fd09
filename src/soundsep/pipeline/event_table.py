"""Reads tables of events that were written before."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from soundsep.errors import ConfigError, DatasetError, DependencyError
from soundsep.files import parse_json
from soundsep.names import local_path
from soundsep.pipeline.timeline import Event

__all__ = ["TimedEvent", "read_events"]

NEEDED = ("start_seconds", "end_seconds", "label")


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
        for number, row in readers[kind](path):
            yield _event(f"{path}, {'row' if kind == 'parquet' else 'line'} {number}", row)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        if isinstance(error, ConfigError):
            raise
        raise DatasetError(f"{path} is not a table of events: {error}") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, row


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, parse_json(line)


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
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
                yield number, row


def _event(where: str, row: Any) -> TimedEvent:
    if not isinstance(row, Mapping) or any(row.get(name) in (None, "") for name in NEEDED):
        absent = [name for name in NEEDED if isinstance(row, Mapping) and name not in row]
        hint = f"; the table has no {' and no '.join(absent)}" if absent else ""
        raise DatasetError(f"{where}: expected values for {', '.join(NEEDED)}{hint}")
    try:
        start, end = float(row["start_seconds"]), float(row["end_seconds"])
        score = float(1.0 if row.get("score") in (None, "") else row["score"])
        told = row.get("start_time") or None
        when = None if told is None else datetime.fromisoformat(str(told).replace("Z", "+00:00"))
    except (TypeError, ValueError, OverflowError) as error:  # a list, no number, a huge one
        raise DatasetError(f"{where}: {error}") from error
    if not 0 <= start <= end or not math.isfinite(end) or not 0 <= score <= 1:
        raise DatasetError(
            f"{where}: expected a start of at least 0 s, an end not before it and a score from 0 "
            f"to 1, got {start} to {end} with {score}"
        )
    path = row.get("path")
    label = str(row["label"])
    return TimedEvent(path if isinstance(path, str) else "", Event(start, end, label, score), when)
