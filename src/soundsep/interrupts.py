"""Ctrl-C and other requests to end, while code runs that would lose them or be lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ENDING", "Terminated", "interrupts_held", "terminations_raised"]

# Ended by a batch system, a container or a service manager; the terminal is gone (not on Windows).
ENDING = (signal.SIGTERM, *(number for number in signal.Signals if number.name == "SIGHUP"))
GRACE_SECONDS = 10.0  # to clean up, in which further requests to end are ignored


class Terminated(KeyboardInterrupt):
    """A request to end, other than Ctrl-C.

    Attributes:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def terminations_raised() -> Iterator[None]:
    """Raise `Terminated` where a signal would end the process at once, until the end of the block.

    So temporary files are removed, and a user is told how to go on. The first process of a
    container is not even ended otherwise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process, last = os.getpid(), -GRACE_SECONDS

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if os.getpid() != process:  # forked, and nobody is there to catch an exception
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif time.monotonic() - last > GRACE_SECONDS:
            last = time.monotonic()
            raise Terminated(number)

    # Those of `nohup`, or of a program that calls this one, stay as they are.
    caught = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in caught:
            signal.signal(number, end)
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back the user's interrupt, and requests to end, until the end of the block.

    C code that calls Python may drop an exception there: libsndfile would call the recording
    damaged, the import of torch would leave half of numpy, and the run would not stop. A second
    interrupt is not held back, since a disk may hang.
    """
    if threading.current_thread() is not threading.main_thread():  # others are never interrupted
        yield
        return
    # Others are ignored, end the process, or are not Python's.
    handlers = {
        number: handler
        for number in (signal.SIGINT, *ENDING)
        if callable(handler := signal.getsignal(number))
    }
    held: list[tuple[int, FrameType | None]] = []
    raised: list[BaseException] = []
    is_over = False

    def hold(number: int, frame: FrameType | None) -> None:
        held.append((number, frame))
        if is_over or len(held) > 1:
            try:
                handlers[signal.Signals(number)](number, frame)
            except BaseException as error:
                raised.append(error)  # C code may drop it, and `terminations_raised` raises once
                raise

    try:
        for number in handlers:
            signal.signal(number, hold)
        yield
    finally:
        is_over = True  # should a handler raise here, those not yet set again lose nothing
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if raised:
            raise raised[0]
        if held:
            handlers[signal.Signals(held[0][0])](*held[0])
