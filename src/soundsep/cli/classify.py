"""``soundsep classify``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.batch import go_through
from soundsep.cli.console import note, say
from soundsep.cli.options import (
    DEFAULT_MODEL,
    Commands,
    at_least_1,
    batch_options,
    channel_options,
    device_options,
    doubt_options,
)
from soundsep.cli.output import check_output
from soundsep.cli.recordings import given_recordings, recording_options
from soundsep.cli.results_file import ResultsFile

if TYPE_CHECKING:
    from soundsep.pipeline.results import ClipResult

__all__ = ["add_command"]

DEFAULT_TOP = 5


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "classify",
        parents=[
            recording_options(
                "a recording that has a line in it is not heard again, even if that line is an "
                "error (delete the line to have it tried again)"
            ),
            doubt_options(),
            channel_options(),
            device_options(),
            batch_options(),
        ],
        help="name the sounds of recordings",
        description="Name the sounds of recordings. A recording that cannot be read is reported "
        "and the others go on; the exit code is then 1.",
    )
    command.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"a name of `soundsep models`, a folder, or org/repo (default: {DEFAULT_MODEL})",
    )
    command.add_argument(
        "--top",
        type=at_least_1,
        default=DEFAULT_TOP,
        metavar="K",
        help=f"labels shown of each (default: {DEFAULT_TOP})",
    )
    command.add_argument(
        "--separator",
        metavar="NAME",
        help="take every recording apart first, such as with esc50-mix2, and name all of it",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object a line")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write one JSON object a line into this file instead, errors too; lines are whole "
        "whenever it stops",
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.errors import ConfigError

    recordings = given_recordings(arguments).paths
    if arguments.output is None:
        if arguments.resume or arguments.overwrite:
            raise ConfigError("--resume and --overwrite need --output, the file they are about")
        return _classify(arguments, recordings, None)
    check_output(
        arguments.output,
        overwrite=arguments.resume or arguments.overwrite,
        recordings=recordings,
        hint="--resume goes on with it, --overwrite begins it anew",
    )
    with closing(
        ResultsFile(
            arguments.output,
            # What was heard with another separator is another model's result, too.
            model=" + ".join(filter(None, (arguments.model, arguments.separator))),
            options=_options(arguments),
            resume=arguments.resume,
            overwrite=arguments.overwrite,
        )
    ) as output:
        return _classify(arguments, recordings, output)


def _options(arguments: argparse.Namespace) -> str:
    """Those that change what a line holds, unless they are the usual ones."""
    given = {
        f"--top {arguments.top}": arguments.top != DEFAULT_TOP,
        f"--channel {arguments.channel}": arguments.channel is not None,
        "--unknown": arguments.unknown,
        f"--silence-db {arguments.silence_db}": arguments.silence_db is not None,
    }
    return " ".join(option for option, is_given in given.items() if is_given)


def _classify(
    arguments: argparse.Namespace, recordings: list[str], output: ResultsFile | None
) -> int:
    from soundsep.pipeline import Pipeline

    pipe = Pipeline.from_pretrained(
        arguments.model,
        separator=arguments.separator,
        unknown=arguments.unknown,
        silence_db=arguments.silence_db,
        device=arguments.device,
    )

    def work(group: list[str]) -> Iterator[str | None]:
        results = pipe(
            group,
            top_k=arguments.top,
            batch_size=arguments.batch_size,
            channel=arguments.channel,
            progress=False,
            errors="return",
        )
        if output:
            output.write(result.to_dict() for result in results)
        else:
            _show(results, arguments)
        return (result.error for result in results)

    return go_through(
        recordings,
        work,
        done=dict(output.done) if output else {},
        group_size=arguments.batch_size,
        output=arguments.output,
        can_resume=output is not None,
        always_sum_up=output is not None,
    )


def _show(results: Iterable[ClipResult], arguments: argparse.Namespace) -> None:
    for result in results:
        if arguments.json:
            say(json.dumps(result.to_dict()))
        elif result.error is not None:
            note(result.error)
        else:
            say(result.table(arguments.top))
