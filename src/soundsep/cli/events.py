"""``soundsep events``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from soundsep.cli.batch import go_through
from soundsep.cli.clips import Clips, add_clips
from soundsep.cli.console import note
from soundsep.cli.event_options import add_event_options, found_options, load_pipeline
from soundsep.cli.formats import (
    APART,
    ENDINGS,
    EVENT_FORMATS,
    EventLines,
    add_time_pattern,
    check_time_pattern,
    format_of,
)
from soundsep.cli.options import (
    Commands,
    add_batch_size,
    add_channel,
    add_device,
    add_processes,
    add_runtime,
)
from soundsep.cli.output import check_output, refuse_recordings
from soundsep.cli.parquet import rows_of, sink_of
from soundsep.cli.recordings import add_recordings, add_resume, given_recordings, own_places
from soundsep.cli.sinks import EachToItsFile, Screen, Settings, Sink
from soundsep.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from soundsep.audio import FoundRecordings
    from soundsep.pipeline import Event, Pipeline, TimedEvent

__all__ = ["add_command"]

TABLES = ("csv", "jsonl", "parquet")  # that can be read again


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "events",
        help="find which sounds occur when, in recordings of any length",
        description="Find which sounds occur when, in recordings of any length. A recording that "
        "cannot be read is reported, the others are still processed, and the exit code is 1.",
        epilog="example: soundsep events card/ --label dog --threshold 0.6 -o dogs.csv",
    )
    add_recordings(command)
    add_event_options(command)
    command.add_argument(
        "--format",
        choices=EVENT_FORMATS,
        help="table (for reading), csv, jsonl (one object per line), parquet, audacity (a label "
        "track) or raven (a selection table); default: by the suffix of the output, .txt being "
        "audacity, else table",
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PATH",
        help="write to this file; for several recordings in audacity or raven format, a folder "
        "with one file each",
    )
    add_resume(
        command,
        "recordings that are done are skipped, even if they failed; a hidden file beside the "
        "output, or in the output folder, lists them",
    )
    add_clips(command)
    add_channel(command)
    add_time_pattern(command)
    add_device(command)
    add_runtime(command)
    add_batch_size(command)
    add_processes(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    found = given_recordings(arguments)
    output, many = arguments.output, len(found.paths) > 1
    is_expanded = found.paths != arguments.files
    if output is not None:
        refuse_recordings([output], found.paths)
    kind = format_of(output, arguments.format, EVENT_FORMATS, "table")
    is_folder = output is not None and arguments.format is not None
    apart = kind in APART and (many or (is_folder and (is_expanded or output.is_dir())))
    if apart and not is_folder:
        raise ConfigError(
            f"several recordings as {kind} need -o FOLDER and --format {kind}: the format holds no "
            "recording names, so each recording has its own file. A .csv holds all"
        )
    if output is None and (arguments.resume or (arguments.overwrite and not arguments.clips)):
        raise ConfigError("--resume and --overwrite need --output")
    if arguments.clips and arguments.resume and kind not in TABLES:
        raise ConfigError(
            f"--clips with --resume needs events that can be read again, in {', '.join(TABLES)}; "
            f"{kind} holds too little"
        )
    outputs = _outputs(output, kind, found) if apart else {}
    if output is not None and not apart:
        check_output(
            output,
            overwrite=arguments.resume or arguments.overwrite,
            recordings=found.paths,
            hint="--resume continues it, --overwrite starts over",
        )
    check_time_pattern(arguments.time_pattern, found.paths)
    pipe = load_pipeline(arguments)
    clips = Clips(arguments, found.places, pipe.labels) if arguments.clips else None
    with closing(_sink(arguments, kind, outputs, pipe, titles=many)) as sink:
        if clips and sink.done:
            clips.go_on_with(_earlier(output, kind))
        left = [path for path in found.paths if path not in sink.done]

        def work(group: list[str]) -> Iterator[str | None]:
            (path,) = group
            try:
                with sink.recording(path) as write:
                    for event in next(answers):
                        write(event)
                        if clips:
                            clips.add(path, event)
            except AudioError as error:
                note(error)
                yield str(error)
            else:
                yield None

        with closing(_events(arguments, pipe, left, progress=not many)) as answers:
            status = go_through(
                found.paths,
                work,
                done=dict(sink.done),
                output=output,
                can_resume=not isinstance(sink, Screen),
                always_sum_up=output is not None,
            )
    return max(status, clips.cut()) if clips else status


def _events(
    arguments: argparse.Namespace, pipe: Pipeline, paths: list[str], *, progress: bool
) -> Generator[Iterable[Event]]:
    """The events of each recording, in order; an `AudioError` may end them."""
    n_processes = min(arguments.processes, len(paths))
    if n_processes < 2:
        find = _finder(arguments, pipe, progress=progress)
        yield from map(find, paths)
        return
    from soundsep.cli.workers import shared_out

    in_process = partial(_finds, arguments)
    with closing(shared_out(paths, in_process, n_processes=n_processes)) as answers:
        yield from map(_Found.events_or_error, answers)


class _Found(NamedTuple):
    """What another process found in a recording."""

    events: list[Event]
    error: AudioError | None

    def events_or_error(self) -> Iterator[Event]:
        yield from self.events
        if self.error is not None:
            raise self.error


def _finds(arguments: argparse.Namespace) -> Callable[[str], _Found]:
    """What finds the events of a recording, in a process of its own."""
    find = _finder(arguments, load_pipeline(arguments), progress=False)

    def found(path: str) -> _Found:
        events: list[Event] = []
        try:
            events.extend(find(path))
        except AudioError as error:
            return _Found(events, error)
        return _Found(events, None)

    return found


def _finder(
    arguments: argparse.Namespace, pipe: Pipeline, *, progress: bool
) -> Callable[[str], Iterable[Event]]:
    options = found_options(arguments, pipe) | {"channel": arguments.channel}
    return partial(pipe.events, progress=progress, **options)


def _earlier(output: Path, kind: str) -> Iterator[TimedEvent]:
    """The events of an earlier run."""
    from soundsep.pipeline.event_table import read_events

    table = rows_of(output) if kind == "parquet" else output
    if table.is_file():
        yield from read_events(table, kind="csv" if kind == "csv" else "jsonl")


def _outputs(folder: Path, kind: str, found: FoundRecordings) -> dict[str, Path]:
    """Where the events of each recording go, checked before hours are spent on the first.

    Raises:
        ConfigError: two recordings would share a file, or a recording would be replaced.
    """
    outputs = {
        path: folder / place.with_name(place.name + ENDINGS[kind][0])
        for path, place in own_places(found.places).items()
    }
    refuse_recordings(outputs.values(), found.paths)
    return outputs


def _sink(
    arguments: argparse.Namespace,
    kind: str,
    outputs: dict[str, Path],
    pipe: Pipeline,
    *,
    titles: bool,
) -> Sink:
    from soundsep.cli.identity import weights_of
    from soundsep.pipeline.events import EVENT_COLUMNS

    lines = partial(
        EventLines,
        kind,
        high_hz=pipe.sample_rate / 2,
        titles=titles,
        time_pattern=arguments.time_pattern,
        channel=arguments.channel,
    )
    settings = Settings(
        resume=arguments.resume,
        retry_failed=arguments.retry_failed,
        overwrite=arguments.overwrite,
        model=arguments.model,
        weights=weights_of(pipe.classifier) if arguments.output else "",
        options=_options(arguments, kind),
        command="events",
    )
    if outputs:
        return EachToItsFile(arguments.output, outputs, lines, settings)
    return sink_of(arguments.output, kind, lines(), settings, EVENT_COLUMNS)


def _options(arguments: argparse.Namespace, kind: str) -> str:
    """All options that change what is written for a recording."""
    last_given = dict(arguments.threshold or ())  # for a label, as `found_options` takes them
    thresholds = sorted(f"{label}={s}" if label else str(s) for label, s in last_given.items())
    given: list[tuple[str, object]] = [
        *(("--threshold", threshold) for threshold in thresholds),
        *(("--label", label) for label in sorted(set(arguments.label or ()))),
        ("--hop", arguments.hop),
        ("--min-duration", arguments.min_duration),
        ("--merge-gap", arguments.merge_gap),
        ("--min-score", arguments.min_score),
        ("--channel", arguments.channel),
        ("--time-pattern", arguments.time_pattern),
        ("--silence-db", arguments.silence_db),
    ]
    named = [f"{option} {value}" for option, value in given if value is not None]
    return " ".join((kind, *named, *["--unknown"] * arguments.unknown))
