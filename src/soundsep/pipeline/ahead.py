"""Files that are decoded and resampled in threads, ahead of the network that waits for them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["read_ahead"]

MAX_AHEAD = 64  # recordings
MAX_AHEAD_BYTES = 2**28  # of waveforms; a recording that is being read is counted by its file
BYTES_PER_BYTE = 8  # of a waveform, for each of its file
MAX_THREADS = 8


@dataclass(slots=True, eq=False)
class _Task:
    """A recording that is read ahead.

    Attributes:
        item: Recording as it was given.
        n_bytes: Size of the waveform; while it is read, an estimate from that of the file.
        waveform: Waveform, once a thread is to read it; ``None`` before.
        is_dropped: Whether no thread is to read it, even if it is in the pool's queue.
    """

    item: Any
    n_bytes: int = 0
    waveform: Future[Tensor] | None = None
    is_dropped: bool = False


class _Reader:
    """Threads that read what was added, in order, as far as the bound of memory lets them.

    Whichever thread ends a recording begins the next, so none ever waits: what the bound holds back
    begins when one before it is taken.
    """

    def __init__(self, read: Callable[[Any], Tensor], n_threads: int) -> None:
        self._read, self._n_threads = read, n_threads
        self._process = os.getpid()
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="soundsep-read-ahead")
        self._lock = threading.Lock()
        self._waiting: deque[_Task] = deque()
        self._n_running = self._n_bytes = 0

    def add(self, item: Any) -> Callable[[], Tensor]:
        """Have a recording read.

        Returns:
            What waits for its waveform; it raises what reading raised. They are called in order.
        """
        task = _Task(item)
        if os.getpid() == self._process:
            with self._lock:
                self._waiting.append(task)
                self._begin()
        return partial(self._take, task)

    def _take(self, task: _Task) -> Tensor:
        # Forked, so that the threads stayed behind; or no thread could be started.
        if os.getpid() != self._process or task.waveform is None:
            return self._read(task.item)
        try:
            return task.waveform.result()
        finally:
            with self._lock:
                self._n_bytes -= task.n_bytes
                self._begin()

    def _begin(self) -> None:
        """Begin with what waits; the lock is held."""
        while (
            self._waiting and self._n_running < self._n_threads and self._n_bytes < MAX_AHEAD_BYTES
        ):
            task = self._waiting.popleft()
            n_bytes = BYTES_PER_BYTE * _size(task.item)
            try:
                task.waveform = self._pool.submit(self._work, task)
            except RuntimeError:  # closed, the interpreter ends, or no thread can be started
                task.is_dropped = True  # the pool queues it before it starts a thread
                self._waiting.clear()
                return
            task.n_bytes = n_bytes
            self._n_bytes += n_bytes
            self._n_running += 1

    def _work(self, task: _Task) -> Tensor:
        with self._lock:
            if task.is_dropped:
                return torch.empty(0, device="cpu")  # whoever takes it reads it
        n_bytes = 0
        try:
            waveform = self._read(task.item)
            n_bytes = waveform.nbytes
            return waveform
        finally:
            with self._lock:
                self._n_running -= 1
                self._n_bytes += n_bytes - task.n_bytes
                task.n_bytes = n_bytes
                self._begin()

    def close(self) -> None:
        """Read no more, and wait for the threads."""
        if os.getpid() == self._process:
            self._pool.shutdown(cancel_futures=True)


def read_ahead(
    items: Iterable[Any], read: Callable[[Any], Tensor], *, n_ahead: int
) -> Generator[tuple[Any, Callable[[], Tensor]]]:
    """Recordings, and what gives the waveform of each; files are read ahead in threads.

    Only paths and bytes are: file objects and arrays are read when their turn has come, and no
    recording behind one of them is asked for before. Half of torch's threads read, for the network
    has the others.

    Args:
        items: The recordings; what goes wrong in asking for one is raised in its place.
        read: A recording to its waveform, (time,); called from several threads.
        n_ahead: Recordings that may be read ahead, at most `MAX_AHEAD` and `MAX_AHEAD_BYTES`;
            with 0 no thread is started.

    Yields:
        Each recording, in order, and a function to be called before the next one is asked for.
    """
    left = iter(items)
    n_threads = min(MAX_THREADS, max(1, torch.get_num_threads() // 2))
    reader = _Reader(read, n_threads)
    waiting: deque[tuple[Any, Callable[[], Tensor]] | Exception] = deque()
    goes_on, is_file = True, True
    try:
        while True:
            while goes_on and (
                not waiting or (is_file and len(waiting) <= min(n_ahead, MAX_AHEAD))
            ):
                try:
                    item = next(left)
                except StopIteration:
                    goes_on = False
                except Exception as error:
                    waiting.append(error)
                    goes_on = False
                else:
                    is_file = n_ahead > 0 and isinstance(item, (str, Path, bytes))
                    waiting.append((item, reader.add(item) if is_file else partial(read, item)))
            if not waiting:
                return
            found = waiting.popleft()
            if isinstance(found, Exception):
                raise found
            yield found
    finally:
        reader.close()


def _size(item: str | Path | bytes) -> int:
    """Bytes of a file, or of one in memory; what cannot be found is reported by who reads it."""
    if isinstance(item, bytes):
        return len(item)
    try:
        return Path(item).stat().st_size
    except (OSError, ValueError):
        return 0
