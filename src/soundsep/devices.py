"""Where a module runs, and how its weights lie."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

from soundsep.errors import ConfigError

__all__ = ["move", "to_device"]

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
