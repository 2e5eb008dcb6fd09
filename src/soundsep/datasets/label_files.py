"""Labels with times as people make them: tables, Audacity's label tracks, Raven's selections."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from soundsep.datasets.table import read_times
from soundsep.errors import DatasetError
from soundsep.names import label_fault
from soundsep.pipeline.tables import read_rows, utf8_fault

__all__ = ["Labelled", "misnamed_columns", "read_labels"]

TIMES = ("start_seconds", "end_seconds")
OPTIONAL = ("path", "fold", "group", *TIMES)
# What others call them, which may also be something else.
OTHER_NAMES = {
    "start_seconds": ("start", "onset", "begin"),
    "end_seconds": ("end", "offset", "stop"),
}
# Raven leaves the name of the column of labels to its user; these are in use, the first first.
RAVEN_LABELS = ("annotation", "label", "species", "common name", "class", "tag")
RAVEN_START, RAVEN_END = "Begin Time (s)", "End Time (s)"


class Labelled(NamedTuple):
    """One line of a table.

    Attributes:
        where: Table and line, for messages.
        recording: Path or name of the recording; empty if the table has none.
        label: Name of the sound.
        start_seconds: Start; 0 if the whole recording is labelled.
        end_seconds: End; ``None`` if the whole recording is labelled.
        fold: The fold as text, if the table has folds.
        group: The recording it was cut from, if the table tells.
    """

    where: str
    recording: str
    label: str
    start_seconds: float = 0.0
    end_seconds: float | None = None
    fold: str | None = None
    group: str | None = None


def read_labels(table: Path) -> list[Labelled]:
    """The lines of a ``.csv`` table, an Audacity label track or a Raven selection table.

    Raises:
        DatasetError: the file is none of these, a value is missing, a label cannot be one, or the
            times are no times.
    """
    if table.suffix.lower() == ".csv":
        rows = list(_csv(table))
    else:
        lines = _lines(table)
        is_raven = bool(lines) and RAVEN_START in lines[0][1]
        rows = list(_raven(table, lines) if is_raven else _audacity(lines))
    for row in rows:
        if fault := label_fault(row.label):
            raise DatasetError(f"{row.where}: a class needs another name: {fault}")
    return rows


def misnamed_columns(table: Path) -> str | None:
    """A note on columns of a ``.csv`` table that are ignored because of their names.

    Without its times a sound is the whole file, and without its group a recording of its own.
    """
    if table.suffix.lower() != ".csv":
        return None
    header = _header(table)
    meant = {
        column: name
        for name in OPTIONAL
        for column in sorted(header)
        if name not in header and column.casefold() in (name, *OTHER_NAMES.get(name, ()))
    }
    if not meant:
        return None
    renamed = ", ".join(f"{column!r} to {name}" for column, name in meant.items())
    return f"{table}: columns with other names are ignored; if they are meant, rename {renamed}"


def _csv(table: Path) -> Iterator[Labelled]:
    # The events of one recording, beside it and under its name, need not name it.
    needed = ("label",) if {*TIMES} <= _header(table) else ("path", "label")
    for where, row in read_rows(table, needed, OPTIONAL):
        times: tuple[float, float | None] = (0.0, None)
        if lacking := [name for name in TIMES if name not in row]:
            if len(lacking) == 1:
                raise DatasetError(
                    f"{table}: no column {lacking[0]}; a table with times has both "
                    f"{' and '.join(TIMES)}"
                )
        else:
            times = _times(where, row[TIMES[0]], row[TIMES[1]])
        yield Labelled(
            where,
            row.get("path", ""),
            row["label"].strip(),
            *times,
            row.get("fold"),
            row.get("group"),
        )


def _header(table: Path) -> set[str]:
    with suppress(OSError, ValueError, csv.Error), table.open(encoding="utf-8-sig") as file:
        return {name.strip() for name in next(csv.reader(file), ())}
    return set()


def _audacity(lines: Sequence[tuple[str, list[str]]]) -> Iterator[Labelled]:
    for where, cells in lines:
        if cells[0] == "\\":  # the frequencies of the label above
            continue
        if len(cells) < 2:
            raise DatasetError(
                f"{where}: expected start, end and label, separated by tabs, as Audacity exports "
                f"labels, or a selection table of Raven; found {cells[0][:40]!r}"
            )
        # Some versions of Audacity write the decimal comma of the system.
        start, end = _times(where, *(cell.replace(",", ".") for cell in cells[:2]))
        label = cells[2].strip() if len(cells) > 2 else ""
        if not label:
            raise DatasetError(f"{where}: the label at {start:g} s has no text")
        yield Labelled(where, "", label, start, end)


def _raven(table: Path, lines: Sequence[tuple[str, list[str]]]) -> Iterator[Labelled]:
    columns = lines[0][1]
    named = {name.lower(): name for name in columns}
    of_label = next((named[name] for name in RAVEN_LABELS if name in named), None)
    if of_label is None or RAVEN_END not in columns:
        raise DatasetError(
            f"{table}: a selection table of Raven needs {RAVEN_START}, {RAVEN_END} and a column of "
            f"labels: {', '.join(RAVEN_LABELS)}; found {', '.join(columns)}"
        )
    seen = set[Labelled]()
    for where, cells in lines[1:]:
        row = dict(zip(columns, cells, strict=False))
        label = row.get(of_label, "").strip()
        if not label:
            raise DatasetError(f"{where}: a value is missing: {of_label}")
        start, end = _times(where, row.get(RAVEN_START, ""), row.get(RAVEN_END, ""))
        if offset := row.get("File Offset (s)"):  # times of several files go on from each other
            first, _ = read_times(where, offset, offset)
            start, end = first, round(first + end - start, 6)
        recording = row.get("Begin Path") or row.get("Begin File") or ""
        # Raven lists a selection once for each view of it: the waveform and the spectrogram.
        once = Labelled("", recording, label, start, end)
        if once not in seen:
            seen.add(once)
            yield once._replace(where=where)


def _lines(table: Path) -> list[tuple[str, list[str]]]:
    """The cells of each line that is not empty, and its position."""
    try:
        text = table.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{table} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{table} {utf8_fault(error.object)}") from error
    rows = ([_cell(text) for text in line.split("\t")] for line in text.split("\n"))
    return [
        (f"{table}, line {number}", cells) for number, cells in enumerate(rows, 1) if any(cells)
    ]


def _cell(text: str) -> str:
    """The contents of a cell.

    Audacity and Raven write a label as it is, so that a quotation mark in it opens nothing; others
    put a whole cell in quotation marks.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"').strip()
    return text


def _times(where: str, start: str, end: str) -> tuple[float, float]:
    first, last = read_times(where, start, end)
    if first == last:
        raise DatasetError(
            f"{where}: the label marks a point, at {first:g} s; mark from where to where it sounds"
        )
    return first, last
