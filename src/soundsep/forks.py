"""What a process does that was forked from one that had loaded a model."""

from __future__ import annotations

import os
import threading

import torch

from soundsep.errors import warn

__all__ = ["HomeProcess"]


class HomeProcess:
    """The process that an object was made in.

    torch computes with the threads of OpenMP. They belong to the thread that computed first, for
    instance by loading a model, and a fork does not copy them: in the child, what is left of that
    thread, its main thread, would wait for them for ever.
    """

    def __init__(self) -> None:
        self._id = os.getpid()

    def __reduce__(self) -> tuple[type[HomeProcess], tuple[()]]:
        """Copies belong where they are made, such as in a process that was spawned."""
        return HomeProcess, ()

    def check(self) -> None:
        """Go on with one thread if this is a fork, and a computation would wait for others.

        Warns:
            SoundsepWarning: it does.
        """
        if (
            os.getpid() != self._id
            and threading.current_thread() is threading.main_thread()
            and (n_threads := torch.get_num_threads()) > 1
        ):
            torch.set_num_threads(1)
            warn(
                f"this process was forked after the model was loaded, and torch would wait for "
                f"threads that only its parent has: torch.set_num_threads(1) was called, instead "
                f"of {n_threads}; load the model after the fork, or start processes with 'spawn'"
            )
