"""Where a module runs, how its weights lie, and what random numbers it draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from soundsep.errors import ConfigError

__all__ = ["forked_rng", "move", "prepare", "to_device"]

M = TypeVar("M", bound=nn.Module)


def to_device(module: M, device: str | torch.device) -> M:
    """Move a network, and lay its weights out channels last: up to twice as fast on a CPU.

    Raises:
        ConfigError: there is no such device here.
    """
    moved: Any = move(module, device)  # torch before 2.14 does not declare the argument
    laid_out: M = moved.to(memory_format=torch.channels_last)
    return laid_out


def move(module: M, device: str | torch.device) -> M:
    """Move a network as it is.

    Raises:
        ConfigError: there is no such device here.
    """
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:  # both are torch's ways to say it
        reason = str(error).splitlines()[0]
        raise ConfigError(f"cannot use the device {str(device)!r}: {reason}") from error


def prepare(model: object) -> torch.device:
    """Put a network into evaluation mode, and say where it runs; what is no network, on the CPU.

    In training mode batch normalisation would hear a clip's neighbours, and learn them.
    """
    if not isinstance(model, nn.Module):
        return torch.device("cpu")
    weight = next(model.eval().parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


@contextmanager
def forked_rng(seed: int | None = None) -> Iterator[None]:
    """Leave torch's global generator as it was, whatever is drawn from it in between.

    Layers draw their first weights from it, and those with dropout go on drawing.

    Args:
        seed: Seed inside the block; by default the state is kept.
    """
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        yield
