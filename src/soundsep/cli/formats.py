"""Formats of events and results: for people, for programs, for Audacity and for Raven."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from soundsep.errors import ConfigError
from soundsep.names import printable

if TYPE_CHECKING:
    from soundsep.pipeline.results import ClipResult
    from soundsep.pipeline.timeline import Event

__all__ = [
    "APART",
    "ENDINGS",
    "EVENT_FORMATS",
    "RESULT_FORMATS",
    "EventLines",
    "Lines",
    "ResultLines",
    "add_time_pattern",
    "check_time_pattern",
    "format_of",
]

# Suffixes of each format; the first is the one that we write.
ENDINGS = {
    "table": (".txt",),
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet",),
    "audacity": (".txt",),
    "raven": (".Table.1.selections.txt", ".selections.txt"),
}
EVENT_FORMATS = tuple(ENDINGS)
RESULT_FORMATS = ("csv", "jsonl", "parquet")
APART = ("audacity", "raven")  # hold no recording names, so each recording has its own file
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


def format_of(output: Path | None, given: str | None, formats: Sequence[str], usual: str) -> str:
    """The format asked for, else that of the output's suffix.

    Args:
        output: A file, a folder, or the screen.
        given: The value of --format.
        formats: All formats.
        usual: The format for the screen, for pipes, and for a name without a suffix.

    Raises:
        ConfigError: no format has the suffix, or the format needs a file.
    """
    if given is None:
        if output is None or not output.suffix or output.is_dir():
            return usual
        name = output.name.lower()
        fitting = [
            (len(ending), kind)
            for kind in formats
            for ending in ENDINGS[kind]
            if name.endswith(ending.lower()) and kind != "table"
        ]
        if not fitting:
            known = ", ".join(ENDINGS[kind][0] for kind in formats if kind != "table")
            raise ConfigError(
                f"{output}: no format has the suffix {output.suffix}; expected {known}, or --format"
            )
        given = max(fitting)[1]
    if given == "parquet" and output is None:
        raise ConfigError("--format parquet needs -o FILE: it is a binary format")
    return given


def add_time_pattern(command: argparse.ArgumentParser) -> None:
    """--time-pattern."""
    command.add_argument(
        "--time-pattern",
        metavar="PATTERN",
        help="how the name of a recording states its start time, such as "
        '"%%Y-%%m-%%d_%%Hh%%M" (default: the formats of common recorders, and file headers)',
    )


def check_time_pattern(pattern: str | None, paths: Sequence[str]) -> None:
    """Check that names of recordings state times as --time-pattern says.

    Raises:
        ConfigError: the pattern is invalid, or matches no name.
    """
    from soundsep.audio import recording_start
    from soundsep.cli.console import note

    if pattern is None:
        return
    strangers = [path for path in paths if recording_start(path, pattern=pattern) is None]
    if len(strangers) == len(paths):
        raise ConfigError(f"--time-pattern {pattern!r} matches no name, such as {strangers[0]}")
    if strangers:
        note(
            f"--time-pattern matches the names of {len(paths) - len(strangers)} of {len(paths)} "
            f"recordings; the others, such as {strangers[0]}, have no time of day"
        )


class Lines(Protocol):
    """The lines of one file of events or results."""

    @property
    def is_of_one_recording(self) -> bool:
        """Whether the lines hold no recording names."""

    def head(self) -> list[str]:
        """Lines at the top of the file."""

    def title(self, path: str) -> list[str]:
        """Lines above those of a recording."""

    def line(self, path: str, item: Any) -> str:
        """The line of the next event or result."""


class EventLines:
    """The lines of one file of events, for one recording or several.

    Args:
        kind: One of `EVENT_FORMATS`; the lines for parquet are converted at the end.
        high_hz: Highest frequency that the model uses. A selection of Raven reaches up to it, or to
            the highest one of the recording, since Raven has none beyond that.
        titles: Write the name of each recording above its table.
        time_pattern: Format of the time in names of recordings.
        channel: The channel that was heard, counted from 0; ``None`` for all.
    """

    def __init__(
        self,
        kind: str,
        *,
        high_hz: float,
        titles: bool,
        time_pattern: str | None = None,
        channel: int | None = None,
    ) -> None:
        self._kind, self._high_hz, self._titles = kind, high_hz, titles
        self._time_pattern, self._channel = time_pattern, channel
        self._n_events = 0
        self._start: tuple[str, datetime | None] | None = None  # the latest recording's
        self._highest_hz: tuple[str, float] | None = None  # likewise

    @property
    def is_of_one_recording(self) -> bool:
        """Whether the lines are labels for another program."""
        return self._kind in APART

    def head(self) -> list[str]:
        """Lines above all events."""
        from soundsep.pipeline.events import EVENT_COLUMNS
        from soundsep.pipeline.tables import csv_line

        if self._kind == "csv":
            return [csv_line(EVENT_COLUMNS)]
        return [csv_line(RAVEN_COLUMNS, "\t")] if self._kind == "raven" else []

    def title(self, path: str) -> list[str]:
        """Lines above the events of a recording."""
        return [printable(path)] if self._titles and self._kind == "table" else []

    def line(self, path: str, item: Event) -> str:
        """The next event."""
        from soundsep.pipeline.events import event_row
        from soundsep.pipeline.tables import csv_line

        self._n_events += 1
        start, end = item.start_seconds, item.end_seconds
        if self._kind in ("csv", "jsonl", "parquet"):
            row = event_row(item, path, self._start_of(path))
            return csv_line(row.values()) if self._kind == "csv" else json.dumps(row)
        if self._kind == "audacity":
            return csv_line((start, end, item.label), "\t")
        if self._kind == "raven":
            channel = 1 + (self._channel or 0)
            high = f"{min(self._high_hz, self._highest_hz_of(path)):.1f}"
            box = (self._n_events, "Spectrogram 1", channel, start, end, "0.0", high)
            return csv_line((*box, item.label, item.score), "\t")
        return str(item)

    def _start_of(self, path: str) -> datetime | None:
        from soundsep.audio import recording_start

        if self._start is None or self._start[0] != path:
            self._start = path, recording_start(path, pattern=self._time_pattern)
        return self._start[1]

    def _highest_hz_of(self, path: str) -> float:
        from soundsep.audio import audio_blocks

        if self._highest_hz is None or self._highest_hz[0] != path:
            with audio_blocks(path) as blocks:
                self._highest_hz = path, blocks.sample_rate / 2
        return self._highest_hz[1]


class ResultLines:
    """The lines of one file of results, one per recording.

    Args:
        kind: "csv" or "parquet"; the lines for parquet are converted at the end.
        top_k: Number of labels per recording.
        time_pattern: Format of the time in names of recordings.
        is_separated: State in which source each label was heard.
    """

    def __init__(
        self, kind: str, *, top_k: int, time_pattern: str | None, is_separated: bool
    ) -> None:
        self._kind, self._top_k, self._time_pattern = kind, top_k, time_pattern
        self._is_separated = is_separated

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table."""
        from soundsep.pipeline.tabulate import result_columns

        return result_columns(self._top_k, is_separated=self._is_separated)

    @property
    def is_of_one_recording(self) -> bool:
        """Every row names its recording."""
        return False

    def head(self) -> list[str]:
        """Lines above all results."""
        from soundsep.pipeline.tables import csv_line

        return [csv_line(self.columns)] if self._kind == "csv" else []

    def title(self, path: str) -> list[str]:
        """Nothing: a result names its recording."""
        return []

    def line(self, path: str, item: ClipResult) -> str:
        """The next result."""
        from soundsep.pipeline.tables import csv_line
        from soundsep.pipeline.tabulate import result_row

        row = result_row(
            item,
            self._top_k,
            time_pattern=self._time_pattern,
            is_separated=self._is_separated,
        )
        return csv_line(row.values()) if self._kind == "csv" else json.dumps(row)
