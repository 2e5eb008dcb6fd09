"""Ctrl-C and other signals, while code runs that would lose them or be lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

__all__ = ["ENDING", "Terminated", "interrupts_held", "takes_signals", "terminations_raised"]

# Ended by a batch system, a container or a service manager; the terminal is gone (not on Windows).
ENDING = (signal.SIGTERM, *(number for number in signal.Signals if number.name == "SIGHUP"))
# All but those that Linux has without a name, for each of which to ask takes a microsecond.
NAMED = tuple(sorted(map(int, {*signal.Signals} & signal.valid_signals())))
GRACE_SECONDS = 10.0  # to clean up, in which further requests to end are ignored


class Terminated(KeyboardInterrupt):
    """A request to end, other than Ctrl-C.

    Attributes:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def takes_signals() -> bool:
    """Whether this thread sets and runs the handlers of signals; others are never interrupted."""
    if threading.current_thread() is not threading.main_thread():
        return False
    # In a program that embeds Python, the main thread of `threading`, the first that imported it,
    # may be another than that of signals. Python refuses the thread before it looks at the handler.
    try:
        with suppress(TypeError):
            signal.signal(signal.SIGINT, None)
    except ValueError:
        return False
    return True


@contextmanager
def terminations_raised() -> Iterator[None]:
    """Raise `Terminated` where a signal would end the process at once, until the end of the block.

    So temporary files are removed, and a user is told how to go on. The first process of a
    container is not even ended otherwise.
    """
    if not takes_signals():
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
    """Hold back every signal that Python handles, such as Ctrl-C, until the end of the block.

    C code that calls Python may drop an exception there: libsndfile would call the recording
    damaged, or crash, the import of torch would leave half of numpy, and the run would not stop, or
    a job not end at its time limit. What comes again is not held back, since a disk may hang; nor
    is a second request to end, by whichever signal.
    """
    if not takes_signals():
        yield
        return
    # Others are ignored, end the process, or are not Python's.
    handlers = {
        number: handler for number in NAMED if callable(handler := signal.getsignal(number))
    }
    held: dict[int, tuple[int, FrameType | None]] = {}  # the first of its kind
    raised: dict[int, BaseException] = {}
    is_over = False

    def hold(number: int, frame: FrameType | None) -> None:
        kind = int(signal.SIGINT) if number in ENDING else number
        if kind not in held and not is_over:
            held[kind] = number, frame
            return
        try:
            handlers[number](number, frame)
        except BaseException as error:
            # C code may drop it, and `terminations_raised` raises only once.
            raised.setdefault(kind, error)
            raise

    def pass_on(kind: int) -> None:
        if kind in raised:
            raise raised[kind]
        number, frame = held[kind]
        handlers[number](number, frame)

    try:
        for number in handlers:
            signal.signal(number, hold)
        yield
    finally:
        is_over = True  # should a handler raise here, those not yet set again lose nothing
        for number, handler in handlers.items():
            signal.signal(number, handler)
        with ExitStack() as others:  # one that raises keeps no other from its handler
            for kind in sorted(held, key=lambda kind: kind != signal.SIGINT):
                others.callback(pass_on, kind)  # called last to first: a request to end is raised
