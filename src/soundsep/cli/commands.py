"""All commands: their parser, how one is run, and how its errors are reported."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from soundsep.cli import (
    classify,
    download,
    evaluate,
    evaluate_events,
    evaluate_mixtures,
    events,
    example,
    export,
    fit,
    listen,
    make_scenes,
    models,
    plot,
    push,
    recipes,
    report,
    separate,
    summary,
    train,
    train_separator,
)
from soundsep.cli.console import discard_pending, note, say, standard_streams
from soundsep.cli.versions import versions
from soundsep.errors import SoundsepError, SoundsepWarning, WeightsError
from soundsep.names import did_you_mean, printable

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

__all__ = ["COMMANDS", "make_parser", "run_command"]

COMMANDS = (
    classify,
    events,
    summary,
    report,
    listen,
    separate,
    fit,
    example,
    models,
    recipes,
    download,
    train,
    train_separator,
    evaluate,
    evaluate_events,
    evaluate_mixtures,
    make_scenes,
    export,
    push,
    plot,
)


HINTS = """\
soundsep identifies the sounds in recordings.

  soundsep classify yard.wav             name the sounds of a recording, or a folder of them
  soundsep events night.flac             find which sounds occur when
  soundsep events nights/ -o events.csv  the same for many recordings, in one table
  soundsep report night.flac -o a.html   see, hear and correct them in a browser
  soundsep fit clips/ -o model/          train a model on your own classes
  soundsep example                       list recordings to try
  soundsep models                        list the published models

soundsep --help lists all commands, soundsep COMMAND --help the options of one."""

FULL = (errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))


def make_parser() -> argparse.ArgumentParser:
    """A parser of all commands, whose arguments have the function ``run``."""
    parser = _Parser(
        prog="soundsep",
        description="Identify the sounds in recordings. `soundsep COMMAND --help` lists the "
        "options of a command, with an example.",
        epilog="example: soundsep events night.flac -o events.csv",
    )
    parser.add_argument(
        "--version",
        action=_ShowVersions,
        nargs=0,
        help="show the versions of soundsep and of what it uses",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run=_show_hints)
    for command in COMMANDS:
        command.add_command(commands)
    return parser


def run_command(argv: Sequence[str] | None = None) -> int:
    """Run one command, with errors as one line.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        0 if all went well, 1 if some recordings failed, 2 if nothing could be done.

    Raises:
        KeyboardInterrupt: the user stopped it.
    """
    with standard_streams(), warnings.catch_warnings():
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        return _run(make_parser().parse_args(argv))


def _run(arguments: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal has all letters
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except SoundsepError as error:
        # A model that is not available has a line per file.
        note(f"error: {error}", keep="\n" if isinstance(error, WeightsError) else "")
        return 2
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        discard_pending(sys.stdout)
        return 0
    except (MemoryError, RuntimeError, ImportError) as error:
        if not _is_out_of_memory(error):
            raise
        note(
            "error: there is not enough memory; give this program more, a smaller --batch-size, or "
            "shorter recordings"
        )
        return 2
    except OSError as error:
        note(f"error: {_explained(error)}")
        try:
            sys.stdout.flush()  # what was printed before is still worth having
        except OSError:
            discard_pending(sys.stdout)
        return 2
    return status


def _show_hints(arguments: argparse.Namespace) -> int:
    say(HINTS)
    return 0


def _show_help(text: str, file: SupportsWrite[str] | None, arguments: argparse.Namespace) -> int:
    (file or sys.stdout).write(text)
    return 0


def _show_versions(arguments: argparse.Namespace) -> int:
    sys.stdout.write(f"{versions()}\n")  # `say` needs tqdm, which may be what is missing
    return 0


def _show_warning(otherwise: Callable[..., None], message: Warning | str, *about: Any) -> None:
    """Show a warning of ours as one line, without the line of Python that raised it."""
    if isinstance(message, SoundsepWarning):
        note(message)
    else:
        otherwise(message, *about)


def _explained(error: OSError) -> str:
    """The error with its file. Commands name their files; an unnamed one is standard output."""
    if error.filename is None and error.errno in FULL:
        return f"cannot write to standard output: {error.strerror}"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether numpy, torch on any device, or the loader of their libraries found no memory."""
    said = ("out of memory", "allocate memory", "not enough memory", "failed to map segment")
    return isinstance(error, MemoryError) or any(words in str(error) for words in said)


class _ShowVersions(argparse.Action):
    """Ends, as --help does: whatever follows is not run."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        parser.exit(_run(argparse.Namespace(run=_show_versions)))


class _Parser(argparse.ArgumentParser):
    _given: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]  # nobody here asks for another namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        # argparse passes unknown arguments up to the outermost parser, which would show its own
        # usage instead of the command's.
        self._given = sys.argv[1:] if args is None else args
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            known = self._option_string_actions
            options = [text for text in rest if text.startswith("-")]
            hint = did_you_mean(options[0].partition("=")[0], known) if options else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return found, rest

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        # From Python 3.13 on, argparse takes -h.wav for -h, where it refused the rest before.
        asked = filter(re.compile("-h|--h(e|el|elp)?$").match, self._given)
        if (first := next(asked, "-h")) != "-h" and first[:2] == "-h":
            self.error(f"unrecognized arguments: {first}")
        # argparse itself passes over a full disk.
        show = partial(_show_help, self.format_help(), file)
        if status := _run(argparse.Namespace(run=show)):
            self.exit(status)

    def error(self, message: str) -> NoReturn:
        # argparse suggests nothing before Python 3.14.
        if choice := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            choices = re.findall(r"[\w.-]+", choice[2])
            hint = did_you_mean(choice[1], choices)
            if "classify" in choices and os.path.exists(choice[1]):  # noqa: PTH110  # a recording, not a command
                hint = f", did you mean: soundsep classify {shlex.quote(choice[1])}"
            message = message.replace(" (choose from", f"{hint} (choose from")
        # A shell makes such arguments of *.wav.
        if file := next((t for t in self._given if t[:1] == "-" and os.path.lexists(t)), None):
            message += f"; the file {file} is given as {shlex.quote(f'./{file}')}"
        super().error(printable(message, keep="\n"))
