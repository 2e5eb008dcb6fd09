"""``soundsep report``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.batch import go_through
from soundsep.cli.console import counted, note
from soundsep.cli.event_options import add_event_options, found_options, load_pipeline
from soundsep.cli.formats import add_time_pattern, check_time_pattern
from soundsep.cli.options import (
    Commands,
    add_batch_size,
    add_channel,
    add_device,
    add_overwrite,
    add_runtime,
    at_least_1,
)
from soundsep.cli.output import check_output
from soundsep.cli.recordings import add_recordings, given_recordings
from soundsep.cli.startup import import_torch
from soundsep.errors import AudioError, ConfigError
from soundsep.names import did_you_mean, meant

if TYPE_CHECKING:
    from soundsep.pipeline import Event

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "report",
        help="write a page to see, hear and correct events in",
        description="Write one page, for any browser and without a network, in which you see the "
        "events of recordings on their spectrograms, hear and correct them, and save the corrected "
        "list as CSV or Audacity labels. A recording that cannot be read is reported, the others "
        "are still processed, and the exit code is 1.",
        epilog="example: soundsep report night.flac -o night.html",
    )
    add_recordings(command)
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="HTML", help="the page"
    )
    add_overwrite(command, "a page")
    command.add_argument(
        "--events",
        type=Path,
        metavar="TABLE",
        help="show the events of this csv, jsonl or parquet file, which `soundsep events` or a "
        "report wrote, instead of finding events anew",
    )
    command.add_argument(
        "--title", help="title of the page (default: the name of the recording, or of the first)"
    )
    command.add_argument(
        "--margin",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="length to be heard before and after each event (default: 2)",
    )
    command.add_argument(
        "--max-megabytes",
        type=at_least_1,
        default=24,
        metavar="MB",
        help="largest size of the page; sounds that do not fit in are links to the recordings "
        "(default: 24)",
    )
    add_event_options(command)
    add_channel(command)
    add_time_pattern(command)
    add_device(command)
    add_runtime(command)
    add_batch_size(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.report import write_report

    if arguments.output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{arguments.output}: a report is a page, whose name ends in .html")
    found = given_recordings(arguments)
    check_output(arguments.output, overwrite=arguments.overwrite, recordings=found.paths)
    check_time_pattern(arguments.time_pattern, found.paths)
    events: dict[str, list[Event]] = {}
    status = 0
    if arguments.events:
        events = _read(arguments, found.paths)
    else:
        status = _listen(arguments, found.paths, events)
    if not events:
        raise ConfigError("no recording could be read, so there is no report")
    skipped = write_report(
        events,
        arguments.output,
        title=arguments.title,
        margin_seconds=arguments.margin,
        max_bytes=arguments.max_megabytes * 1_000_000,
        time_pattern=arguments.time_pattern,
        channel=arguments.channel,
        errors="skip",
        progress=True,
    )
    for error in skipped.values():
        note(error)
    megabytes = arguments.output.stat().st_size / 1e6
    n_events = sum(len(group) for path, group in events.items() if path not in skipped)
    note(f"{counted(n_events, 'event')}; the page {arguments.output} has {megabytes:.1f} MB")
    return 1 if skipped else status


def _listen(arguments: argparse.Namespace, paths: list[str], events: dict[str, list[Event]]) -> int:
    """Identify the events; of a damaged recording those before the damage."""
    pipe = load_pipeline(arguments)
    options = found_options(arguments, pipe) | {"channel": arguments.channel}
    many = len(paths) > 1

    def work(group: list[str]) -> Iterator[str | None]:
        (path,) = group
        heard: list[Event] = []
        try:
            heard.extend(pipe.events(path, progress=not many, **options))
        except AudioError as error:
            note(error)
            if heard:
                events[path] = heard
            yield str(error)
        else:
            events[path] = heard
            yield None

    return go_through(paths, work)


def _read(arguments: argparse.Namespace, paths: list[str]) -> dict[str, list[Event]]:
    """The events of a table, by the recordings that are given.

    Raises:
        ConfigError: none is of any of them.
    """
    from soundsep.classifier.checks import reaches
    from soundsep.pipeline import read_events

    events: dict[str, list[Event]] = {path: [] for path in paths}
    names = {os.path.abspath(path): path for path in paths}  # noqa: PTH100  # of text, as it is opened
    table = [*read_events(arguments.events)]
    known = {event.label for _, event, _ in table}
    labels = {meant(label, known) for label in arguments.label or ()}
    for label in sorted(labels - known):
        note(f"{arguments.events} has no event of {label!r}{did_you_mean(label, known)}")
    n_ours, strangers = 0, set[str]()
    for path, event, _ in table:
        recording = names.get(os.path.abspath(path)) if path else None  # noqa: PTH100
        if recording is None:
            strangers.add(path)
            continue
        n_ours += 1
        if reaches(event.score, arguments.min_score) and (not labels or event.label in labels):
            events[recording].append(event)
    if strangers and not n_ours:
        raise ConfigError(
            f"no event of {arguments.events} is of a recording that is given; the table names "
            f"{sorted(strangers)[0] or 'none'}. Give the same recordings, from the folder in which "
            "the table was made"
        )
    if strangers:
        others = counted(len(strangers), "other recording")
        note(f"events of {others} are left out, such as {min(strangers)}")
    return events
