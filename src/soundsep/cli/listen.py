"""``soundsep listen``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundsep.cli.console import note, say
from soundsep.cli.event_options import add_event_options, found_options, load_pipeline
from soundsep.cli.options import Commands, add_batch_size, add_device, add_runtime
from soundsep.cli.startup import import_torch
from soundsep.interrupts import ENDING, takes_signals

if TYPE_CHECKING:
    from soundsep.pipeline.timeline import Event

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "listen",
        help="identify the sounds at a microphone",
        description="Identify the sounds at a microphone until Ctrl-C. An event is printed when it "
        "is over; that it began is told before, on standard error. Sound that arrives faster than "
        "the model can process it is reported as lost.",
        epilog="example: soundsep listen --label dog --label siren",
    )
    add_event_options(command)
    command.add_argument(
        "--microphone",
        metavar="NAME",
        help="number or part of the name of an input; `python -m sounddevice` lists them "
        "(default: that of the system)",
    )
    command.add_argument(
        "--seconds", type=float, metavar="SECONDS", help="stop after this time (default: never)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object per line")
    add_device(command)
    add_runtime(command)
    add_batch_size(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.config import check_number
    from soundsep.pipeline.microphone import Microphone, listen

    if arguments.seconds is not None:  # no timer takes a longer time, or infinity
        check_number("--seconds", arguments.seconds, least=0, most=threading.TIMEOUT_MAX)
    name = arguments.microphone
    microphone = Microphone(device=int(name) if name and name.isdecimal() else name)
    pipe = load_pipeline(arguments)
    stop = threading.Event()
    if arguments.seconds is not None:
        timer = threading.Timer(arguments.seconds, stop.set)
        timer.daemon = True
        timer.start()
    with _set_by_interrupts(stop):
        note("listening; press Ctrl-C to stop")
        options = found_options(arguments, pipe)
        for heard in listen(pipe, microphone, stop=stop, began=_tell_begin, **options):
            say(json.dumps(heard.to_dict()) if arguments.json else heard)
            sys.stdout.flush()
    return 0


def _tell_begin(event: Event) -> None:
    note(f"{event.label} began at {event.start_seconds:.2f} s")


@contextmanager
def _set_by_interrupts(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C, or the end of a service, stops the microphone only, so that the last events come."""
    if not takes_signals():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    for number, handler in before.items():
        # One that is not Python's cannot be set again; `nohup` ignores the end of the terminal.
        if handler is not None and (number == signal.SIGINT or handler is not signal.SIG_IGN):
            signal.signal(number, lambda *_: stop.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
