"""Ctrl-C while code runs that would lose it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupts_held"]


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back the user's interrupt until the end of the block.

    C code that calls Python may drop an exception there: libsndfile would call the recording
    damaged, the import of torch would leave half of numpy, and the run would not stop. A second
    interrupt is not held back, since a disk may hang.
    """
    if threading.current_thread() is not threading.main_thread():  # others are never interrupted
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # interrupts are ignored, end the process, or are not Python's
        yield
        return
    held: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append((number, frame))
        if len(held) > 1:
            handler(number, frame)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[0])
