"""The command line: it parses, calls the public functions, and prints.

One module a command. Each imports what it needs when it runs, so that --help and mistakes answer
at once.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from soundsep._version import __version__
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
    recipes,
    separate,
    summary,
    train,
    train_separator,
)
from soundsep.cli.console import note, say, standard_streams
from soundsep.errors import SoundsepError, SoundsepWarning, WeightsError
from soundsep.names import did_you_mean, printable

__all__ = ["main"]

COMMANDS = (
    classify,
    events,
    summary,
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
    plot,
)


HINTS = """\
soundsep identifies the sounds in recordings.

  soundsep classify yard.wav             name the sounds of a recording, or a folder of them
  soundsep events night.flac             when which sounds are heard
  soundsep events nights/ -o events.csv  the same of many recordings, into one table
  soundsep fit clips/ -o model/          a model of your own classes
  soundsep example                       recordings to try
  soundsep models                        what can be heard with

soundsep --help lists all commands, soundsep COMMAND --help the options of one."""

FULL = (errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        0 if all went well, 1 if some recordings failed, 2 if nothing could be done, 130 after
        Ctrl-C.
    """
    with standard_streams(), warnings.catch_warnings():
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        return _run(_parser().parse_args(argv))


def _run(arguments: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal knows all letters
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except SoundsepError as error:
        # Of a model that cannot be had, every file has its line.
        note(f"error: {error}", keep="\n" if isinstance(error, WeightsError) else "")
        return 2
    except KeyboardInterrupt:
        note("stopped")
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _drop_output()
        return 0
    except OSError as error:
        note(f"error: {_explained(error)}")
        try:
            sys.stdout.flush()  # what was printed before is still worth having
        except OSError:
            _drop_output()
        return 2
    return status


def _show_hints(arguments: argparse.Namespace) -> int:
    say(HINTS)
    return 0


def _show_warning(otherwise: Callable[..., None], message: Warning | str, *about: Any) -> None:
    """Show a warning of ours as a line of the command, for nobody asks which line of Python."""
    if isinstance(message, SoundsepWarning):
        note(message)
    else:
        otherwise(message, *about)


def _explained(error: OSError) -> str:
    """What went wrong with which file; commands name theirs, which leaves standard output."""
    if error.filename is None and error.errno in FULL:
        return f"cannot write to standard output: {error.strerror}"
    return str(error)


def _drop_output() -> None:
    """Let what is still to be printed vanish, for Python would try again at its end."""
    with suppress(OSError, ValueError):  # where there is no such thing as a descriptor
        output = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output)
        os.close(nowhere)


class _Parser(argparse.ArgumentParser):
    def parse_known_args(  # type: ignore[override]  # nobody here asks for another namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        # argparse leaves what a command does not know to the outermost parser, which shows its own
        # usage and not that of the command.
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            known = self._option_string_actions
            options = [text for text in rest if text.startswith("-")]
            hint = did_you_mean(options[0].partition("=")[0], known) if options else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        # The command's own words, for argparse suggests nothing before Python 3.14.
        if choice := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            hint = did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2]))
            message = message.replace(" (choose from", f"{hint} (choose from")
        super().error(printable(message, keep="\n"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="soundsep", description="Identify the sounds in recordings.")
    parser.add_argument("--version", action="version", version=f"soundsep {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run=_show_hints)
    for command in COMMANDS:
        command.add_command(commands)
    return parser
