"""``soundsep classify``."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.options import (
    DEFAULT_MODEL,
    Commands,
    at_least_1,
    batch_options,
    channel_options,
    device_options,
)
from soundsep.cli.results_file import ResultsFile

if TYPE_CHECKING:
    from soundsep.pipeline.results import ClipResult

__all__ = ["add_command"]

DEFAULT_TOP = 5


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "classify",
        parents=[channel_options(), device_options(), batch_options()],
        help="name the sounds of recordings",
        description="Name the sounds of recordings. A recording that cannot be read is reported "
        "and the others go on; the exit code is then 1.",
    )
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="recordings, folders of them, or patterns"
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
    command.add_argument(
        "--unknown", action="store_true", help="give no label where the model is not sure"
    )
    command.add_argument(
        "--silence-db",
        type=float,
        metavar="DBFS",
        help="level below which nothing is to be heard, such as -60",
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
    present = command.add_mutually_exclusive_group()
    present.add_argument(
        "--resume",
        action="store_true",
        help="go on with the output of an earlier run: a recording that has a line in it is not "
        "heard again, even if that line is an error (delete the line to have it tried again); "
        "give the same files by the same names",
    )
    present.add_argument(
        "--overwrite", action="store_true", help="begin an output that exists anew"
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.audio import find_recordings, passed_over
    from soundsep.errors import ConfigError

    found = find_recordings(*arguments.files)
    files = found.paths
    if line := passed_over(found.passed_over):
        print(f"soundsep: {line}", file=sys.stderr)
    if not files:
        raise ConfigError("no audio files in the folders given")
    if arguments.output is None:
        if arguments.resume or arguments.overwrite:
            raise ConfigError("--resume and --overwrite need --output, the file they are about")
        return _classify(arguments, files, None)
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
        try:
            return _classify(arguments, files, output)
        except KeyboardInterrupt:
            print(
                f"soundsep: {len(output.done)} results are in {output.path}; the same command "
                "with --resume goes on",
                file=sys.stderr,
            )
            raise


def _options(arguments: argparse.Namespace) -> str:
    """Those that change what a line holds, unless they are the usual ones."""
    given = {
        f"--top {arguments.top}": arguments.top != DEFAULT_TOP,
        f"--channel {arguments.channel}": arguments.channel is not None,
        "--unknown": arguments.unknown,
        f"--silence-db {arguments.silence_db}": arguments.silence_db is not None,
    }
    return " ".join(option for option, is_given in given.items() if is_given)


def _classify(arguments: argparse.Namespace, files: list[str], output: ResultsFile | None) -> int:
    from tqdm import tqdm

    from soundsep.pipeline import Pipeline

    done = output.done if output else {}
    left = [file for file in files if file not in done]
    n_before = len(files) - len(left)
    n_failed = sum(done.get(file, False) for file in files)
    pipe = Pipeline.from_pretrained(
        arguments.model,
        separator=arguments.separator,
        unknown=arguments.unknown,
        silence_db=arguments.silence_db,
        device=arguments.device,
    )
    with tqdm(
        total=len(files),
        initial=n_before,
        unit="file",
        disable=None if len(files) > 1 else True,  # None: where there is no terminal
    ) as bar:
        for group in _groups(left, arguments.batch_size):
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
            n_failed += sum(result.error is not None for result in results)
            bar.set_postfix(failed=n_failed, refresh=False)
            bar.update(len(group))
    if len(files) > 1 or output:
        _summarise(len(files), n_failed, n_before, output)
    return 1 if n_failed else 0


def _show(results: Iterable[ClipResult], arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    for result in results:  # written past the bar, which may share the terminal
        if arguments.json:
            tqdm.write(json.dumps(result.to_dict()), file=sys.stdout)
        elif result.error is not None:
            tqdm.write(f"soundsep: {result.error}", file=sys.stderr)
        else:
            tqdm.write(result.table(arguments.top), file=sys.stdout)


def _summarise(n_files: int, n_failed: int, n_before: int, output: ResultsFile | None) -> None:
    counts = f"{n_failed} of {n_files} recordings failed"
    before = f", {n_before} were done before" if n_before else ""
    where = f"; the results are in {output.path}" if output else ""
    print(f"soundsep: {counts}{before}{where}", file=sys.stderr)


def _groups(files: Sequence[str], size: int) -> Iterator[list[str]]:
    iterator = iter(files)
    while group := list(itertools.islice(iterator, size)):
        yield group
