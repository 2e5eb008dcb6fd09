"""The command line: it parses, calls the public functions, and prints.

One module a command. Each imports what it needs when it runs, so that --help and mistakes answer
at once.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from soundsep._version import __version__
from soundsep.cli import (
    classify,
    evaluate,
    evaluate_mixtures,
    events,
    export,
    fit,
    listen,
    models,
    plot,
    recipes,
    separate,
    train,
    train_separator,
)
from soundsep.errors import SoundsepError, SoundsepWarning

__all__ = ["main"]

COMMANDS = (
    classify,
    events,
    listen,
    separate,
    fit,
    models,
    recipes,
    train,
    train_separator,
    evaluate,
    evaluate_mixtures,
    export,
    plot,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments; those of the process by default.

    Returns:
        0 if all went well, 1 if some recordings failed, 2 if nothing could be done, 130 after
        Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.closed:
        sys.stdout.reconfigure(errors="backslashreplace")  # the name of a file can be any bytes
    try:
        status: int = arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SoundsepError as error:
        print(f"soundsep: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("soundsep: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _drop_output()
        return 0
    except OSError as error:  # such as a full disk
        print(f"soundsep: error: {error}", file=sys.stderr)
        try:
            sys.stdout.flush()  # what was printed before is still worth having
        except OSError:
            _drop_output()
        return 2
    return status


def _show_warning(otherwise: Callable[..., None], message: Warning | str, *about: Any) -> None:
    """Show a warning of ours as a line of the command, for nobody asks which line of Python."""
    if isinstance(message, SoundsepWarning):
        print(f"soundsep: {message}", file=sys.stderr)
    else:
        otherwise(message, *about)


def _drop_output() -> None:
    """Let what is still to be printed vanish, for Python would try again at its end."""
    with suppress(OSError, ValueError):  # where there is no such thing as a descriptor
        output = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output)
        os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="soundsep", description="Find out what is to be heard in a recording."
    )
    parser.add_argument("--version", action="version", version=f"soundsep {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_command(commands)
    return parser
