"""The one place that decides about progress bars: shown on a terminal, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["is_terminal", "progress_bar", "write_line"]


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody watches; a program without a console has no streams at all."""
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # something of somebody else's; closed
        return False


def progress_bar(items: Iterable[Any] | None = None, *, progress: bool, **options: Any) -> Any:
    """A bar of tqdm on standard error, where that is a terminal.

    Args:
        items: Items to iterate over; without them, the caller updates the bar.
        progress: ``False`` shows none on a terminal either.
        options: Options of tqdm.
    """
    return tqdm(items, disable=not (progress and is_terminal(sys.stderr)), **options)


def write_line(text: str, stream: TextIO | None) -> None:
    """Print past a bar, which may share the terminal; nothing where there is no stream."""
    if stream is not None:
        tqdm.write(text, file=stream)
