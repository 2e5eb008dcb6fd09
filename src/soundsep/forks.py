"""Models in a process that was forked from one that had computed with a model."""

from __future__ import annotations

import os
import threading

import torch

from soundsep.errors import warn

__all__ = ["leave_lost_threads"]

_computed_in: int | None = None  # the last process that computed: this one, or one before a fork
_is_forked = False  # from a process that had computed


def leave_lost_threads() -> None:
    """Compute in one thread, where torch would wait for others for ever.

    Called before a model is made or used. torch computes with the threads of OpenMP. They belong to
    the thread that computed first, and a fork does not copy them: in the child, what is left of
    that thread is the main thread. Other threads of the child start threads of their own.

    Warns:
        SoundsepWarning: torch had more than one thread.
    """
    global _computed_in, _is_forked
    # Not by a hook of `os.fork`: servers in C fork without it, as uWSGI does by default.
    process = os.getpid()
    if _computed_in not in (None, process):
        _is_forked = True
    _computed_in = process
    if (
        _is_forked
        and threading.current_thread() is threading.main_thread()
        and (n_threads := torch.get_num_threads()) > 1
    ):
        torch.set_num_threads(1)
        warn(
            "this process was forked from one that had computed with a model, and torch would "
            "wait for threads that only that one has: torch.set_num_threads(1) was called, "
            f"instead of {n_threads}; load models after the fork, or start processes with 'spawn'"
        )
