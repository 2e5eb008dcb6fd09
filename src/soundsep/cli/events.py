"""``soundsep events``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.batch import go_through
from soundsep.cli.console import note
from soundsep.cli.event_files import EachToItsFile, OneFile, Screen, Settings, Sink
from soundsep.cli.event_formats import FORMATS, EventLines
from soundsep.cli.options import (
    DEFAULT_MODEL,
    Commands,
    batch_options,
    channel_options,
    device_options,
    doubt_options,
)
from soundsep.cli.output import check_output, is_regular, refuse_recordings
from soundsep.cli.recordings import given_recordings, own_places, recording_options
from soundsep.errors import AudioError, ConfigError
from soundsep.names import did_you_mean, meant

if TYPE_CHECKING:
    from soundsep.audio import FoundRecordings
    from soundsep.pipeline import Pipeline

__all__ = ["add_command", "event_options", "load_pipeline"]


def event_options() -> argparse.ArgumentParser:
    """What counts as an event, and which model decides."""
    parent = argparse.ArgumentParser(add_help=False, parents=[doubt_options()])
    parent.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"a name of `soundsep models`, a folder, or org/repo (default: {DEFAULT_MODEL})",
    )
    parent.add_argument(
        "--label",
        action="append",
        metavar="LABEL",
        help="report this label only, in upper or lower case; may be given several times",
    )
    parent.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="score that begins an event (default: that of the model for each label, or 0.5)",
    )
    parent.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="step between windows (default: the model's own)",
    )
    parent.add_argument(
        "--min-duration",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="drop shorter events (default: 0)",
    )
    parent.add_argument(
        "--merge-gap",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="events of a label with at most this much between them are one (default: 1)",
    )
    return parent


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "events",
        parents=[
            recording_options(
                "a recording that is done is not heard again, even if it failed; what is done "
                "stands in a hidden file beside the output, or in the folder of them"
            ),
            event_options(),
            channel_options(),
            device_options(),
            batch_options(),
        ],
        help="say when which sounds are heard, in files of any length",
        description="Say when which sounds are heard, in files of any length. A recording that "
        "cannot be read is reported and the others go on; the exit code is then 1.",
    )
    command.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="table",
        help="table, json (one object a line), csv, audacity (a label track) or raven (a "
        "selection table); default: table",
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PATH",
        help="write into this file; for several recordings with audacity or raven a folder, in "
        "which each has a file",
    )
    command.set_defaults(run=_run)


def load_pipeline(arguments: argparse.Namespace) -> Pipeline:
    """The model of `event_options`.

    Raises:
        ConfigError: it does not know a label that is asked for.
    """
    from soundsep.pipeline import Pipeline

    pipe = Pipeline.from_pretrained(
        arguments.model,
        unknown=arguments.unknown,
        silence_db=arguments.silence_db,
        device=arguments.device,
    )
    if arguments.label:
        arguments.label = [meant(label, pipe.labels) for label in arguments.label]
    if unknown := set(arguments.label or ()) - set(pipe.labels):
        hints = (f"{label!r}{did_you_mean(label, pipe.labels)}" for label in sorted(unknown))
        raise ConfigError(f"the model knows no label {'; '.join(hints)}")
    return pipe


def _run(arguments: argparse.Namespace) -> int:
    found = given_recordings(arguments)
    many = len(found.paths) > 1
    is_expanded = found.paths != arguments.files
    apart = arguments.format in ("audacity", "raven") and (
        many or (arguments.output is not None and (is_expanded or arguments.output.is_dir()))
    )
    if apart and arguments.output is None:
        raise ConfigError(
            f"several recordings with --format {arguments.format} need -o FOLDER: it knows no "
            "names of recordings, so each has a file of its own"
        )
    if arguments.output is None and (arguments.resume or arguments.overwrite):
        raise ConfigError("--resume and --overwrite need --output, the file they are about")
    outputs = _outputs(arguments, found) if apart else {}
    if arguments.output is not None and not apart:
        check_output(
            arguments.output,
            overwrite=arguments.resume or arguments.overwrite,
            recordings=found.paths,
            hint="--resume goes on with it, --overwrite begins it anew",
        )
    pipe = load_pipeline(arguments)
    with closing(_sink(arguments, outputs, pipe, titles=many)) as sink:

        def work(group: list[str]) -> Iterator[str | None]:
            (path,) = group
            try:
                _find(arguments, pipe, path, sink, progress=not many)
            except AudioError as error:
                note(error)
                yield str(error)
            else:
                yield None

        return go_through(
            found.paths,
            work,
            done=dict(sink.done),
            output=arguments.output,
            can_resume=not isinstance(sink, Screen),
        )


def _outputs(arguments: argparse.Namespace, found: FoundRecordings) -> dict[str, Path]:
    """Where the events of each recording go; looked at before hours are spent on the first.

    Raises:
        ConfigError: two would have the same file, or a recording would be replaced.
    """
    ending = FORMATS[arguments.format]
    outputs = {
        path: arguments.output / place.with_name(place.name + ending)
        for path, place in own_places(found.places).items()
    }
    refuse_recordings(outputs.values(), found.paths)
    return outputs


def _sink(
    arguments: argparse.Namespace, outputs: dict[str, Path], pipe: Pipeline, *, titles: bool
) -> Sink:
    lines = partial(EventLines, arguments.format, high_hz=pipe.sample_rate / 2, titles=titles)
    output = arguments.output
    if output is None or (not outputs and output.exists() and not is_regular(output)):
        return Screen(lines(), output)
    settings = Settings(
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        model=arguments.model,
        options=_options(arguments),
    )
    if outputs:
        return EachToItsFile(output, outputs, lines, settings)
    return OneFile(output, lines(), settings)


def _options(arguments: argparse.Namespace) -> str:
    """All that changes what is written of a recording."""
    numbers = (arguments.threshold, arguments.hop, arguments.min_duration, arguments.merge_gap)
    given = [arguments.format, *map(str, numbers), *sorted(set(arguments.label or ()))]
    if arguments.channel is not None:
        given.append(f"--channel {arguments.channel}")
    if arguments.unknown:
        given.append("--unknown")
    if arguments.silence_db is not None:
        given.append(f"--silence-db {arguments.silence_db}")
    return " ".join(given)


def _find(
    arguments: argparse.Namespace, pipe: Pipeline, path: str, sink: Sink, *, progress: bool
) -> None:
    with sink.recording(path) as write:
        for event in pipe.events(
            path,
            threshold=arguments.threshold,
            hop_seconds=arguments.hop,
            min_duration_seconds=arguments.min_duration,
            merge_gap_seconds=arguments.merge_gap,
            batch_size=arguments.batch_size,
            channel=arguments.channel,
            progress=progress,
        ):
            if not arguments.label or event.label in arguments.label:
                write(event)
