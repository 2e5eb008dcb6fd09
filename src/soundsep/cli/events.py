"""``soundsep events``."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.event_formats import FORMATS, EventWriter
from soundsep.cli.options import (
    DEFAULT_MODEL,
    Commands,
    batch_options,
    channel_options,
    device_options,
)
from soundsep.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from soundsep.pipeline import Pipeline

__all__ = ["add_command", "event_options", "load_pipeline"]


def event_options() -> argparse.ArgumentParser:
    """What counts as an event, and which model decides."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"a name of `soundsep models`, a folder, or org/repo (default: {DEFAULT_MODEL})",
    )
    parent.add_argument(
        "--label",
        action="append",
        metavar="LABEL",
        help="report this label only; may be given several times",
    )
    parent.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="SCORE",
        help="score that begins an event (default: 0.5)",
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
        parents=[event_options(), channel_options(), device_options(), batch_options()],
        help="say when which sounds are heard, in files of any length",
        description="Say when which sounds are heard, in files of any length. A recording that "
        "cannot be read is reported and the others go on; the exit code is then 1.",
    )
    command.add_argument("files", nargs="+", metavar="FILE", help="recordings")
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
    command.add_argument("--overwrite", action="store_true", help="replace files that exist")
    command.set_defaults(run=_run)


def load_pipeline(arguments: argparse.Namespace) -> Pipeline:
    """The model of `event_options`.

    Raises:
        ConfigError: it does not know a label that is asked for.
    """
    from soundsep.pipeline import Pipeline

    pipe = Pipeline.from_pretrained(arguments.model, device=arguments.device)
    if unknown := set(arguments.label or ()) - set(pipe.labels):
        raise ConfigError(f"the model knows no label {', '.join(sorted(unknown))}")
    return pipe


def _run(arguments: argparse.Namespace) -> int:
    many = len(arguments.files) > 1
    apart = many and arguments.format in ("audacity", "raven")
    if apart and arguments.output is None:
        raise ConfigError(
            f"several recordings with --format {arguments.format} need -o FOLDER: it knows no "
            "names of recordings, so each has a file of its own"
        )
    outputs = _outputs(arguments, apart=apart)
    pipe = load_pipeline(arguments)
    n_failed = 0
    with contextlib.ExitStack() as stack:
        writer = None if apart else stack.enter_context(_writer(arguments, arguments.output, pipe))
        for file in arguments.files:
            try:
                if writer is not None:
                    _find(arguments, pipe, file, writer)
                else:
                    with _writer(arguments, outputs[file], pipe) as own:
                        _find(arguments, pipe, file, own)
            except AudioError as error:
                n_failed += 1
                print(f"soundsep: {error}", file=sys.stderr)
    if n_failed and many:
        print(f"soundsep: {n_failed} of {len(arguments.files)} recordings failed", file=sys.stderr)
    return 1 if n_failed else 0


def _outputs(arguments: argparse.Namespace, *, apart: bool) -> dict[str, Path]:
    """Where the events of each recording go; looked at before hours are spent on the first.

    Raises:
        ConfigError: two would have the same file, or something would be replaced unasked; a
            recording never is.
    """
    output, ending = arguments.output, FORMATS[arguments.format]
    if output is None:
        return {}
    files = arguments.files
    outputs = {file: output / (Path(file).stem + ending) if apart else output for file in files}
    owners: dict[Path, str] = {}
    for file, path in outputs.items():
        if apart and (other := owners.setdefault(path, file)) != file:
            raise ConfigError(
                f"the events of {other} and {file} would both be written to {path}; find them one "
                "by one, with another -o"
            )
    for path in filter(Path.is_file, set(outputs.values())):  # not a terminal and such
        if not arguments.overwrite:
            raise ConfigError(f"{path} exists already; give another -o, or --overwrite")
        if any(_is_same(path, file) for file in files):
            raise ConfigError(f"{path} is one of the recordings; give another -o")
    return outputs


def _is_same(path: Path, file: str) -> bool:
    try:
        return path.samefile(file)
    except (OSError, ValueError):  # there is no such file, which is told in its turn
        return False


def _find(arguments: argparse.Namespace, pipe: Pipeline, file: str, writer: EventWriter) -> None:
    writer.begin(file)
    for event in pipe.events(
        file,
        threshold=arguments.threshold,
        hop_seconds=arguments.hop,
        min_duration_seconds=arguments.min_duration,
        merge_gap_seconds=arguments.merge_gap,
        batch_size=arguments.batch_size,
        channel=arguments.channel,
    ):
        if not arguments.label or event.label in arguments.label:
            writer.write(event)


@contextlib.contextmanager
def _writer(
    arguments: argparse.Namespace, path: Path | None, pipe: Pipeline
) -> Iterator[EventWriter]:
    high_hz, titles = pipe.sample_rate / 2, len(arguments.files) > 1
    if path is None:
        yield EventWriter(arguments.format, sys.stdout, high_hz=high_hz, titles=titles)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    with stream:
        yield EventWriter(arguments.format, stream, high_hz=high_hz, titles=titles)
