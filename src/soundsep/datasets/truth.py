"""The events of a recording as a table: csv, or JSON in the style of JAMS.

References:
    Humphrey et al. (2014), "JAMS: A JSON annotated music specification for reproducible MIR
    research", ISMIR.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from soundsep.datasets.label_files import read_labels
from soundsep.datasets.scene import Scene
from soundsep.datasets.table import read_times
from soundsep.errors import ConfigError, DatasetError
from soundsep.files import parse_json, saving
from soundsep.metrics import LabelledSpan
from soundsep.names import label_fault, local_path, path_text
from soundsep.pipeline import Event
from soundsep.pipeline.tables import numeral, read_rows, utf8_fault

__all__ = ["read_truth", "true_events", "write_truth"]

COLUMNS = ("start_seconds", "end_seconds", "label")
JSON_SUFFIXES = (".json", ".jams")
JAMS_VERSION = "0.3.4"
N_DECIMALS = 6


def true_events(scene: Scene, labels: Sequence[str]) -> list[Event]:
    """The events of a scene by start, with score 1; overlapping events of a label are one.

    Args:
        scene: A generated scene.
        labels: Names of its targets, in their order.
    """
    events: list[Event] = []
    latest: dict[int, int] = {}  # index of the last event of each target
    for event in scene.events:
        start, end = event.start_seconds, event.end_seconds
        before = latest.get(event.target)
        if before is not None and start <= events[before].end_seconds:
            end = max(end, events[before].end_seconds)
            events[before] = replace(events[before], end_seconds=end)
            continue
        latest[event.target] = len(events)
        events.append(Event(start, end, labels[event.target], 1.0))
    return events


def write_truth(
    events: Sequence[LabelledSpan],
    path: str | Path,
    *,
    duration_seconds: float,
    title: str = "",
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write events as csv, or as JSON if the name ends in ``.json`` or ``.jams``.

    Args:
        events: Events with a label, a start and an end.
        path: File to write.
        duration_seconds: Length of the recording; JSON only.
        title: Name of the recording; JSON only.
        notes: Further values for JSON.

    Raises:
        ConfigError: the suffix is none of these, or the file cannot be written.
    """
    path = Path(path_text(path))
    spans = [
        (round(e.start_seconds, N_DECIMALS), round(e.end_seconds, N_DECIMALS), e.label)
        for e in events
    ]
    if path.suffix.lower() == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *spans])
        with saving(path) as temporary:
            temporary.write_bytes(text.getvalue().encode())
        return
    _check_suffix(path)
    content = {
        "annotations": [
            {
                "namespace": "tag_open",
                "time": 0.0,
                "duration": round(duration_seconds, N_DECIMALS),
                "data": [
                    {
                        "time": start,
                        "duration": round(end - start, N_DECIMALS),
                        "value": label,
                        "confidence": 1.0,
                    }
                    for start, end, label in spans
                ],
                "annotation_metadata": {"data_source": "soundsep"},
                "sandbox": {},
            }
        ],
        "file_metadata": {
            "title": title,
            "duration": round(duration_seconds, N_DECIMALS),
            "jams_version": JAMS_VERSION,
            "identifiers": {},
        },
        "sandbox": dict(notes or {}),
    }
    with saving(path) as temporary:
        temporary.write_bytes((json.dumps(content, indent=1) + "\n").encode())


def read_truth(path: str | Path) -> list[Event]:
    """Read the events of one recording, written by `write_truth`, ``soundsep events`` or by hand.

    From csv the columns ``start_seconds``, ``end_seconds`` and ``label`` are read, from JSON the
    observations of all annotations, from ``.txt`` a label track of Audacity or a selection table of
    Raven. The score of every event is 1.

    Returns:
        The events by their start.

    Raises:
        ConfigError: the name ends in none of ``.csv``, ``.txt``, ``.json`` and ``.jams``.
        DatasetError: the file cannot be read, holds something else, or the events of several
            recordings.
    """
    path = local_path(path)
    if path.suffix.lower() == ".csv":
        spans = _rows(path)
    elif path.suffix.lower() == ".txt":
        spans = _labelled(path)
    else:
        _check_suffix(path)
        spans = _observations(path)
    events = [_event(*span) for span in spans]
    return sorted(events, key=lambda event: (event.start_seconds, event.end_seconds, event.label))


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in JSON_SUFFIXES:
        raise ConfigError(
            f"{path}: expected events in .csv, .json or .jams, or to read in .txt as Audacity or "
            f"Raven write them, got {path.suffix!r}"
        )


def _rows(path: Path) -> Iterator[tuple[str, Any, Any, Any]]:
    rows = list(read_rows(path, COLUMNS))
    _require_one(path, {row.get("path") or "": None for _, row in rows})
    for where, row in rows:
        yield where, row["start_seconds"], row["end_seconds"], row["label"]


def _labelled(path: Path) -> Iterator[tuple[str, Any, Any, Any]]:
    rows = read_labels(path)
    _require_one(path, {row.recording: None for row in rows})
    for row in rows:
        yield row.where, row.start_seconds, row.end_seconds, row.label


def _require_one(path: Path, recordings: Collection[str]) -> None:
    if len(recordings) > 1:
        first, second, *_ = map(repr, recordings)
        raise DatasetError(
            f"{path} holds the events of {len(recordings)} recordings, such as {first} and "
            f"{second}, whose times would be mixed up; expected those of one: write a table for "
            "each (soundsep.pipeline.read_events reads all, each with its recording)"
        )


def _observations(path: Path) -> Iterator[tuple[str, Any, Any, Any]]:
    try:
        content = parse_json(path.read_text("utf-8"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} {utf8_fault(error.object)}") from error
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    try:
        rows = [row for annotation in content["annotations"] for row in annotation["data"]]
        for number, row in enumerate(rows):
            start, length = float(numeral(row["time"])), float(numeral(row["duration"]))
            end = round(start + length, N_DECIMALS)
            yield f"{path}, observation {number}", start, end, row["value"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DatasetError(
            f"{path} is not a JAMS file of events: expected annotations with data, each with "
            f"time, duration and value ({type(error).__name__}: {error})"
        ) from error


def _event(where: str, start: Any, end: Any, label: Any) -> Event:
    first, last = read_times(where, start, end)
    name = label.strip() if isinstance(label, str) else ""
    if fault := label_fault(name):
        raise DatasetError(f"{where}: an event needs another label: {fault}")
    return Event(first, last, name, 1.0)
