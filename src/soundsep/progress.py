"""Progress bars, which are shown only on a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["is_terminal", "leave_nothing_shared", "progress_bar", "write_line"]


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; a program without a console has no streams at all."""
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # an object without it; a closed stream
        return False


def progress_bar(items: Iterable[Any] | None = None, *, progress: bool, **options: Any) -> Any:
    """A bar of tqdm on standard error, if that is a terminal; else the items alone.

    Args:
        items: Items to iterate over; without them, the caller updates the bar.
        progress: ``False`` shows no bar.
        options: Options of tqdm.
    """
    if progress and is_terminal(sys.stderr):
        return tqdm(items, **options)
    return _NoBar(() if items is None else items)


class _NoBar:
    """What code does with a bar, where none is shown.

    A disabled bar of tqdm would do, but starts a thread, and takes a lock that all processes share
    which were forked after tqdm's import: if one is killed with it, the others wait for ever.
    """

    n = 0

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, n: float = 1) -> None:
        """Show nothing."""

    def set_postfix(self, *_: object, **__: object) -> None:
        """Show nothing."""


def write_line(text: str, stream: TextIO | None) -> None:
    """Print a line without breaking a bar on the same terminal; do nothing without a stream."""
    if stream is not None:
        tqdm.write(text, file=stream)


def leave_nothing_shared() -> None:
    """Give bars a lock of this process alone, which may then be ended at any time.

    That of tqdm is shared with other processes, and would be reported as left behind.
    """
    tqdm.set_lock(threading.RLock())
