"""Work that is shared out among processes, each with a model of its own; answers in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, TypeVar

from soundsep.cli.startup import import_torch
from soundsep.errors import ConfigError, SoundsepError

__all__ = ["shared_out"]

Task = TypeVar("Task")
Answer = TypeVar("Answer")

TASKS_EACH = 2  # given out or answered ahead, so that no process waits for a slow one
WAIT_SECONDS = 0.5  # on Windows, Ctrl-C is not noticed in a wait without an end


def shared_out(
    tasks: Iterable[Task], prepare: Callable[[], Callable[[Task], Answer]], *, n_processes: int
) -> Generator[Answer]:
    """The answers to tasks, in order, from several processes.

    They share torch's threads, and end with the generator, or with this process. Warnings are
    raised here again, each once.

    Args:
        tasks: Tasks, of which a few are given out ahead.
        prepare: Function called once in each process, at its first task; what it returns answers a
            task. It, the tasks and the answers are pickled.
        n_processes: Number of processes.

    Raises:
        ConfigError: a process was ended by somebody else.
        Exception: what preparing for a task or answering it raised, in its place.
    """
    import torch

    n_threads = max(1, torch.get_num_threads() // n_processes)
    free = SimpleQueue[_Worker]()
    with ExitStack() as stack:
        threads = ThreadPoolExecutor(n_processes, thread_name_prefix="soundsep-worker")
        stack.callback(threads.shutdown, cancel_futures=True)  # after their processes have ended
        with _without_ctrl_c():
            for _ in range(n_processes):
                worker = _Worker(prepare, n_threads)
                stack.callback(worker.close)
                free.put(worker)

        def ask(task: Task) -> tuple[Any, list[Any]]:
            worker = free.get()
            try:
                return worker.ask(task)
            finally:
                free.put(worker)

        seen: dict[Any, Any] = {}  # warnings, which several processes may give

        def taken(future: Future[tuple[Any, list[Any]]]) -> Any:
            while not future.done():
                wait([future], timeout=WAIT_SECONDS)
            answer, warned = future.result()
            for message, kind, file, line in warned:
                warnings.warn_explicit(message, kind, file, line, registry=seen)
            if isinstance(answer, _Failure):
                raise answer.error
            return answer

        waiting = deque[Future[tuple[Any, list[Any]]]]()
        for task in tasks:
            waiting.append(threads.submit(ask, task))
            if len(waiting) == TASKS_EACH * n_processes:
                yield taken(waiting.popleft())
        while waiting:
            yield taken(waiting.popleft())


class _Failure:
    """What was raised instead of an answer."""

    def __init__(self, error: Exception) -> None:
        is_told = isinstance(error, (SoundsepError, MemoryError, OSError))  # by the command
        self.error = error if is_told else RuntimeError(traceback.format_exc())


class _Worker:
    """One process; a thread at a time asks it."""

    def __init__(self, prepare: Callable[[], Callable[[Any], Any]], n_threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # torch does not survive a fork
        self._connection, its = context.Pipe()
        self._process = context.Process(target=_serve, args=(its, prepare, n_threads), daemon=True)
        self._process.start()
        its.close()  # so that its end is noticed

    def ask(self, task: Any) -> tuple[Any, list[Any]]:
        """The answer to a task, and the warnings on the way."""
        try:
            self._connection.send(task)
            found: tuple[Any, list[Any]] = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise ConfigError(
                f"one of the processes has ended ({how}); if memory was short, fewer --processes "
                "need less"
            ) from None
        return found

    def close(self) -> None:
        """End the process, whatever it does; whoever waits for it learns that."""
        self._process.kill()  # one that was stopped (SIGSTOP) does not obey anything less
        self._process.join()


def _serve(
    connection: Connection, prepare: Callable[[], Callable[[Any], Any]], n_threads: int
) -> None:
    """Answer tasks until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # see `_without_ctrl_c`
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import_torch()
    import torch

    from soundsep.progress import leave_nothing_shared

    torch.set_num_threads(n_threads)
    leave_nothing_shared()
    warned: list[Any] = []
    answer = None
    with warnings.catch_warnings(), suppress(EOFError, OSError):
        warnings.showwarning = lambda *about, **_: warned.append(about[:4])
        while True:
            task = connection.recv()
            try:
                if answer is None:
                    answer = prepare()
                    warned.clear()  # whoever shares out has a model too, and was warned
                found = answer(task)
            except Exception as error:
                found = _Failure(error)
            connection.send((found, warned))
            warned.clear()


def _end_with_parent() -> None:
    """End this process with the one that started it, even in a recording of a whole night."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes started here are not reached by Ctrl-C, which a terminal sends to all of them.

    Each would print a traceback. The one who shares out ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start would undo what follows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
