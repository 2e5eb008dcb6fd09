"""``soundsep summary``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.console import note, say
from soundsep.cli.formats import add_time_pattern
from soundsep.cli.options import Commands, at_least_1
from soundsep.cli.output import check_output
from soundsep.cli.recordings import note_passed_over
from soundsep.cli.startup import import_torch
from soundsep.errors import ConfigError

if TYPE_CHECKING:
    from soundsep.pipeline import EventSummary, TimedEvent

__all__ = ["add_command"]

MAX_GAP = 1_000  # days between two of one recorder or project


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "summary",
        help="count the events of a night or a season by label and hour",
        description="Count the events in tables that `events -o` wrote, by label and hour of the "
        "day, and draw them as hours by days.",
        epilog="example: soundsep summary night.csv --recordings card/ --picture season.png",
    )
    command.add_argument(
        "tables",
        nargs="+",
        type=Path,
        metavar="TABLE",
        help="csv, jsonl or parquet files that `soundsep events` wrote",
    )
    command.add_argument(
        "--recordings",
        nargs="+",
        metavar="FILE",
        help="recordings, folders of them, or patterns: distinguishes hours without events from "
        "hours without recordings",
    )
    command.add_argument(
        "--label",
        action="append",
        metavar="LABEL",
        help="count this label only; may be repeated",
    )
    command.add_argument(
        "--min-score",
        type=float,
        default=0.0,
        metavar="SCORE",
        help="ignore events with a lower score (default: 0)",
    )
    command.add_argument(
        "--picture",
        type=Path,
        metavar="PICTURE",
        help="draw the counts, hours by days: png, pdf, svg...",
    )
    command.add_argument(
        "--top",
        type=at_least_1,
        default=4,
        metavar="K",
        help="draw the K most frequent labels (default: 4)",
    )
    command.add_argument(
        "-o", "--output", type=Path, metavar="CSV", help="write the counts to this table"
    )
    command.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_time_pattern(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.audio import find_recordings
    from soundsep.pipeline import recorded_seconds, summarize

    for output in filter(None, (arguments.picture, arguments.output)):
        given = map(str, arguments.tables)
        check_output(output, overwrite=arguments.overwrite, recordings=given)
    recorded = None
    if arguments.recordings:
        found = find_recordings(*arguments.recordings)
        note_passed_over(found.passed_over)
        recorded, strangers = recorded_seconds(found.paths, time_pattern=arguments.time_pattern)
        if strangers:
            note(
                f"{len(strangers)} of {len(found.paths)} recordings state no time of day or "
                f"cannot be read, such as {strangers[0]}"
            )
    summary = summarize(_events(arguments), recorded=recorded)
    if not summary.labels:
        note("there are no events")
    else:
        say(summary)
        _note_gap(summary)
    if arguments.output:
        summary.to_csv(arguments.output)
        note(f"wrote {arguments.output}")
    if arguments.picture:
        from soundsep.plots import plot_season

        plot_season(summary, top_k=arguments.top, path=arguments.picture)
        note(f"wrote {arguments.picture}")
    return 0


def _note_gap(summary: EventSummary) -> None:
    """Report years without anything: a clock that lost its battery begins in 1970, 1980 or 2000."""
    told = {day for hours in (*summary.counts.values(), summary.recorded) for day, _ in hours}
    gaps = [(after - before, before, after) for before, after in pairwise(sorted(told))]
    if gaps and (gap := max(gaps))[0].days > MAX_GAP:
        note(
            f"there is nothing from {gap[1]} to {gap[2]}; the clock of a recorder may have been "
            "reset, and its times of day be wrong"
        )


def _events(arguments: argparse.Namespace) -> Iterator[TimedEvent]:
    """The events to count, of all tables, with times from file names if --time-pattern is given.

    Raises:
        ConfigError: a requested label does not occur.
    """
    from datetime import timedelta

    from soundsep.audio import recording_start
    from soundsep.classifier.checks import reaches
    from soundsep.names import did_you_mean
    from soundsep.pipeline import read_events

    labels, seen = set(arguments.label or ()), set[str]()
    for table in arguments.tables:
        for timed in read_events(table):
            path, event, when = timed
            seen.add(event.label)
            is_wanted = not labels or event.label in labels
            if not is_wanted or not reaches(event.score, arguments.min_score):
                continue
            if arguments.time_pattern is not None:
                start = recording_start(path, pattern=arguments.time_pattern)
                when = start and start + timedelta(seconds=event.start_seconds)
            yield timed._replace(start_time=when)
    if unknown := sorted(labels - seen):
        hints = (f"{label!r}{did_you_mean(label, seen)}" for label in unknown)
        raise ConfigError(f"no event has the label {'; '.join(hints)}")
