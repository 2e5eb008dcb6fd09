"""Printing for commands: beside progress bars, escaped, and to nowhere if there is no console."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from soundsep.names import printable

__all__ = ["counted", "discard_pending", "note", "say", "standard_streams"]


def say(text: object) -> None:
    """Print a result; file names in it cannot control the terminal."""
    from soundsep.progress import write_line

    write_line(printable(str(text), keep="\n"), sys.stdout)


def counted(n: int, what: str) -> str:
    """A number of things, with an s where there are several or none."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def note(text: object, *, keep: str = "") -> None:
    """Print something about the run to standard error, in one line.

    A log whose disk is full, or whose reader has gone, does not stop the run.

    Args:
        text: The message.
        keep: Characters that are not escaped, such as line breaks.
    """
    from soundsep.progress import write_line

    with suppress(OSError, ValueError):
        write_line(f"soundsep: {printable(str(text), keep=keep)}", sys.stderr)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make sure that the standard streams exist, if only to discard what is written.

    A program without a console, or one that was started with ``2>&-``, has ``None`` for them. The
    next files opened would get their numbers, and C libraries would write into those files.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):  # the lowest free number is taken, which is this one
                os.open(os.devnull, os.O_RDWR)
    replaced = {
        name: stream
        for name in ("stdout", "stderr")
        if (stream := getattr(sys, name)) is None or getattr(stream, "closed", False)
    }
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for name in replaced:
            setattr(sys, name, nowhere)
        try:
            yield
        finally:
            try:
                sys.stderr.flush()
            except (OSError, ValueError):  # see `note`
                discard_pending(sys.stderr)
            for name, stream in replaced.items():
                setattr(sys, name, stream)


def discard_pending(stream: TextIO) -> None:
    """Discard what could not be written; Python would try again when it exits, with code 120."""
    with suppress(OSError, ValueError):  # it is no file, but another program's own
        number = stream.fileno()
        own = os.dup(number)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, number)
            stream.flush()
        finally:
            os.dup2(own, number)
            os.close(own)
            os.close(nowhere)
