"""``soundsep classify``."""

from __future__ import annotations

import argparse
import glob
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from soundsep.cli.options import (
    DEFAULT_MODEL,
    Commands,
    at_least_1,
    batch_options,
    device_options,
)

__all__ = ["add_command"]

FILES_AT_ONCE = 64


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "classify",
        parents=[device_options(), batch_options()],
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
        "--top", type=at_least_1, default=5, metavar="K", help="labels shown of each (default: 5)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object a line")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.pipeline import Pipeline

    files = list(_files(arguments.files))
    if not files:
        print("soundsep: error: no audio files in the folders given", file=sys.stderr)
        return 2
    pipe = Pipeline.from_pretrained(arguments.model, device=arguments.device)
    n_failed = 0
    for group in _groups(files, FILES_AT_ONCE):  # so that results come while a long list runs
        for result in pipe(
            group, top_k=arguments.top, batch_size=arguments.batch_size, errors="return"
        ):
            n_failed += result.error is not None
            if arguments.json:
                print(json.dumps(result.to_dict()))
            elif result.error is not None:
                print(f"soundsep: {result.error}", file=sys.stderr)
            else:
                print(result.table(arguments.top))
    if n_failed and len(files) > 1:
        print(f"soundsep: {n_failed} of {len(files)} recordings failed", file=sys.stderr)
    return 1 if n_failed else 0


def _files(arguments: Iterable[str]) -> Iterator[str]:
    """Files as they are, folders as the audio in them, patterns as what they match."""
    from soundsep.audio import AUDIO_SUFFIXES

    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            found = (p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
            yield from (str(p) for p in sorted(found) if p.is_file())
        elif path.exists() or not glob.has_magic(argument):
            yield argument
        else:  # a shell that leaves patterns alone, as on Windows; none found is reported as it is
            yield from sorted(glob.glob(argument, recursive=True)) or [argument]  # noqa: PTH207  # may be absolute


def _groups(files: Sequence[str], size: int) -> Iterator[list[str]]:
    iterator = iter(files)
    while group := list(itertools.islice(iterator, size)):
        yield group
