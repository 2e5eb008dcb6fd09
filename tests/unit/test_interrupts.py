"""Requests to end: when they raise, when they wait, and when they stay what they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from soundsep import interrupts
from soundsep.interrupts import ENDING, Terminated, interrupts_held, terminations_raised

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As in a program that was started from a terminal."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class TimeLimitError(Exception):
    """What queues of jobs raise from a signal, by an alarm or from outside."""


@pytest.fixture(params=["SIGALRM", "SIGUSR1"])
def time_limit(request) -> Iterator[signal.Signals]:
    """A signal whose handler raises, though not a `KeyboardInterrupt`."""

    def handler(number, frame):
        raise TimeLimitError

    number = signal.Signals[request.param]
    before = signal.signal(number, handler)
    yield number
    signal.signal(number, before)


@pytest.mark.parametrize("number", ENDING)
def test_a_request_to_end_raises_and_the_handler_comes_back(number):
    with pytest.raises(Terminated) as caught, terminations_raised():
        signal.raise_signal(number)
    assert caught.value.number == number
    assert isinstance(caught.value, KeyboardInterrupt)  # what cleans up after Ctrl-C does so here
    assert signal.getsignal(number) is signal.SIG_DFL


def ended_twice() -> Iterator[str]:
    with terminations_raised():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            yield "cleaned up"


def test_a_second_request_leaves_time_to_clean_up(monkeypatch):
    ending = ended_twice()
    assert next(ending) == "cleaned up"
    with pytest.raises(Terminated) as caught:
        next(ending)
    assert caught.value.number == signal.SIGTERM
    monkeypatch.setattr(interrupts, "GRACE_SECONDS", -1.0)  # a disk may hang
    with pytest.raises(Terminated):
        next(ended_twice())


def test_what_a_program_has_set_stays():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    seen = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    with terminations_raised():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert seen == [signal.SIGTERM]


def test_another_thread_changes_nothing():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run() -> None:
        with terminations_raised(), interrupts_held():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_ends_as_if_nobody_had_asked():
    with terminations_raised():
        if (child := os.fork()) == 0:
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, *ENDING])
def test_requests_wait_for_the_end_of_the_block_and_the_second_does_not(number):
    reached = []

    def hold(n_signals: int) -> None:
        with terminations_raised(), interrupts_held():
            for _ in range(n_signals):
                signal.raise_signal(number)
            reached.append(n_signals)

    for n_signals in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            hold(n_signals)
    assert reached == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("second", [signal.SIGINT, *ENDING])
def test_a_second_request_that_c_code_drops_is_not_lost(second):
    """A terminal that is closed sends two, by the system and by its shell."""

    def reached() -> Iterator[None]:
        with terminations_raised(), interrupts_held():
            with suppress(KeyboardInterrupt):  # as libsndfile does
                for number in (signal.SIGHUP, second):
                    signal.raise_signal(number)
            yield

    block = reached()
    next(block)
    with pytest.raises(KeyboardInterrupt):
        next(block)


@pytest.mark.parametrize("late", [signal.SIGINT, *ENDING])
@pytest.mark.parametrize("at", range(3))
def test_a_request_while_handlers_are_set_again_loses_no_later_one(late, at, monkeypatch):
    """It raises, and the handlers that were still to be set again have to pass requests on."""
    n_set, set_handler = 0, signal.signal

    def interrupted(number, handler):
        nonlocal n_set
        set_handler(number, handler)
        n_set += 1
        if n_set == at + 1:
            signal.raise_signal(late)

    monkeypatch.setattr(interrupts, "GRACE_SECONDS", -1.0)
    with terminations_raised():
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), interrupts_held():
            patch.setattr(signal, "signal", interrupted)
        for number in (signal.SIGINT, *ENDING):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)


def test_a_request_while_handlers_are_set_raises_and_they_come_back(monkeypatch):
    set_handler = signal.signal

    def interrupted(number, handler):
        set_handler(number, handler)
        if number == signal.SIGINT:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(signal, "signal", interrupted)
    with pytest.raises(Terminated), terminations_raised(), interrupts_held():
        pytest.fail("not reached")
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_time_limit_waits_for_the_end_of_the_block_too(time_limit):
    reached = []

    def hold(n_signals: int) -> None:
        with interrupts_held(), suppress(TimeLimitError):  # as libsndfile does
            for _ in range(n_signals):
                signal.raise_signal(time_limit)
            reached.append(n_signals)

    handler = signal.getsignal(time_limit)
    for n_signals in (1, 2):
        with pytest.raises(TimeLimitError):
            hold(n_signals)
        assert signal.getsignal(time_limit) is handler
    assert reached == [1]


@pytest.mark.parametrize("limit_first", [True, False])
def test_a_request_to_end_beside_a_time_limit_is_raised(limit_first, time_limit):
    """A program that goes on after a time limit must not go on after Ctrl-C."""
    numbers = (time_limit, signal.SIGINT) if limit_first else (signal.SIGINT, time_limit)
    reached = []

    def hold() -> None:
        with interrupts_held():
            for number in numbers:
                signal.raise_signal(number)
                reached.append(number)

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert len(reached) == 2


def test_signals_of_each_kind_reach_their_handler():
    seen = []
    before = {
        number: signal.signal(number, lambda number, frame: seen.append(number))
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
    }
    try:
        with interrupts_held():
            for number in before:
                signal.raise_signal(number)
            assert seen == []
        assert sorted(seen) == sorted(before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


EMBEDDED = """
import _thread, sys

ended = _thread.allocate_lock()
ended.acquire()

def run():
    import threading
    assert threading.current_thread() is threading.main_thread() or sys.version_info >= (3, 13)
    from soundsep.interrupts import interrupts_held, terminations_raised
    try:
        with terminations_raised(), interrupts_held():
            print("goes on")
    finally:
        ended.release()

assert "threading" not in sys.modules
_thread.start_new_thread(run, ())
ended.acquire(timeout=60)
"""


def test_a_thread_that_only_seems_to_be_the_main_one_changes_nothing():
    """As in a program in another language that calls Python from one of its threads."""
    command = [sys.executable, "-S", "-c", EMBEDDED]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "goes on\n", done.stderr
