"""Sessions of ONNX Runtime, in the process that uses them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

__all__ = ["OwnSession"]


class OwnSession:
    """A session that belongs to the process which runs it.

    A session computes in threads of its own, which a fork does not copy: in the child, both to run
    it and to let go of it would wait for them for ever.
    """

    def __init__(self) -> None:
        self._started: tuple[int, Any, Any] | None = None  # process, key, session

    def of(self, start: Callable[[], Any], key: Any = None) -> Any:
        """The session, started if there is none of this process and this key.

        Args:
            start: Starts one.
            key: Key of the session, such as a number of threads.
        """
        started = self._started
        if started is not None and started[0] != os.getpid():
            _keep(started[2])  # where the hook below was not called, as in workers of uWSGI
        if started is None or started[:2] != (os.getpid(), key):
            started = self._started = (os.getpid(), key, start())
            _SESSIONS.add(started[2])
        return started[2]


_SESSIONS: WeakSet[Any] = WeakSet()


def _keep(session: Any) -> None:
    """Give a session a reference that nobody lets go of, not even the end of the process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


def _keep_in_child() -> None:
    for session in _SESSIONS:
        _keep(session)
    _SESSIONS.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_keep_in_child)
