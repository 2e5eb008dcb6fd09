"""Optimizers of torch, the first of which imports a great deal."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from soundsep.interrupts import interrupts_held

__all__ = ["new_optimizer", "new_solver"]

P = ParamSpec("P")
T = TypeVar("T")


def new_optimizer(kind: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """An optimizer, with Ctrl-C held back until it is there.

    The first one of a process imports ``torch._dynamo`` and with it sympy, which takes seconds. An
    interrupt may leave half of sympy, and then no optimizer can be made in this process again.

    Args:
        kind: Class of the optimizer, such as ``torch.optim.AdamW``.
        args: Parameters and other positional arguments.
        options: Keyword arguments.
    """
    _name_user()
    with interrupts_held():
        return kind(*args, **options)


def new_solver(weights: list[Tensor], *, max_iter: int, tolerance: float) -> torch.optim.LBFGS:
    """L-BFGS for a convex loss of few weights, on all examples at once.

    Args:
        weights: Parameters of the loss, changed in place.
        max_iter: Number of iterations of its one step, at most.
        tolerance: Largest gradient at which it stops.

    Shape:
        weights: tensors (...).
    """
    return new_optimizer(
        torch.optim.LBFGS,
        weights,
        max_iter=max_iter,
        tolerance_grad=tolerance,
        line_search_fn="strong_wolfe",
    )


def _name_user() -> None:
    """Give the user a name for this process, as one of a container may have none.

    The first optimizer of torch asks for it, to name a cache, and fails without.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # by version of Python and system
        os.environ["LOGNAME"] = f"uid-{os.getuid()}" if hasattr(os, "getuid") else "nobody"
