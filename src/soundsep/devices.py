"""Devices and memory layout of networks, and torch's global random numbers."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from soundsep.errors import ConfigError, ShapeError, SoundsepError

__all__ = [
    "check_rng",
    "check_tensor",
    "forked_rng",
    "move",
    "prepare",
    "to_device",
    "told_of_precision",
]

M = TypeVar("M", bound=nn.Module)

# A little below 32 MiB, with its header: the largest that glibc takes for the size of usual blocks.
BLOCK_BYTES = 2**25 - 2**16


def check_rng(rng: Any) -> None:
    """Refuse what is no generator of NumPy, such as a seed or a generator of torch.

    Args:
        rng: Value to check.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(rng, np.random.Generator):
        raise ConfigError(
            f"rng must be a numpy.random.Generator, such as numpy.random.default_rng(0), got "
            f"{rng!r:.80}"
        )


def check_tensor(owner: str, value: Any, axes: str, *, is_float: bool = True) -> None:
    """Refuse what is no tensor, such as an array, and integers, whose squares overflow.

    Args:
        owner: Name of the function or class that takes it.
        value: Value to check.
        axes: Axes that it should have, for the message.
        is_float: Refuse a tensor that is not floating point, too.

    Raises:
        ShapeError: it is something else.
    """
    if not isinstance(value, Tensor):
        raise ShapeError(
            f"{owner} expects a tensor {axes}, got {type(value).__name__}; torch.as_tensor makes "
            "one of an array"
        )
    if is_float and not value.is_floating_point():
        raise ShapeError(
            f"{owner} expects a floating-point tensor {axes}, got one of {value.dtype}; "
            "soundsep.load_audio converts samples, (samples / 2**15).float() those of 16 bits"
        )


def to_device(module: M, device: str | torch.device) -> M:
    """Move a network, with its weights channels last, which is up to twice as fast on a CPU.

    Every thread that computes keeps up to 64 MiB that tensors free, for the next ones.

    Args:
        module: Network to move.
        device: Device, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: this machine has no such device.
    """
    _keep_freed_memory()
    moved: Any = move(module, device)  # torch before 2.14 does not declare the argument
    laid_out: M = moved.to(memory_format=torch.channels_last)
    return laid_out


@functools.cache
def _keep_freed_memory() -> None:
    """Let glibc keep what the layers of a network free; other C libraries are not changed.

    It gives the top of its heap back to the system where that is more than twice the largest block
    that it had asked for alone and got back. Layers would ask for the same pages again at each
    batch, and have the system clear them: of events, that took up to a quarter of the time. Freeing
    one large block, which is never touched, raises the limit for good.

    References:
        mallopt(3), ``M_MMAP_THRESHOLD`` and ``M_TRIM_THRESHOLD``.
    """
    torch.empty(BLOCK_BYTES, dtype=torch.uint8, device="cpu")


def move(module: M, device: str | torch.device) -> M:
    """Move a network, keeping its memory layout.

    Args:
        module: Network to move.
        device: Device, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: this machine has no such device.
    """
    try:
        return module.to(torch.device(device))  # what is no device would be taken for a dtype
    except (RuntimeError, AssertionError, TypeError) as error:  # torch raises any
        reason = str(error).splitlines()[0]
        raise ConfigError(f"cannot use the device {str(device)!r}: {reason}") from error


def prepare(model: object) -> torch.device:
    """Put a network into evaluation mode, and return its device; the CPU for other objects.

    In training mode, batch norms would use a clip's neighbours, and learn from them.
    """
    if not isinstance(model, nn.Module):
        return torch.device("cpu")
    weight = next(model.eval().parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


@contextmanager
def told_of_precision(model: object) -> Iterator[None]:
    """While a model runs on float32: explain a failure of one that was converted.

    Args:
        model: Network or classifier that runs in the block.

    Raises:
        ConfigError: it failed, and its weights are not float32.
    """
    try:
        yield
    except torch.OutOfMemoryError:  # whatever its weights are
        raise
    except (RuntimeError, ShapeError) as error:
        weights = model.parameters() if isinstance(model, nn.Module) else ()
        others = {w.dtype for w in weights if w.is_floating_point()} - {torch.float32}
        explains_itself = isinstance(error, SoundsepError) and not isinstance(error, ShapeError)
        if explains_itself or not others:
            raise
        name = type(model).__name__
        raise ConfigError(
            f"{name} has weights of {', '.join(map(str, others))} and is given float32: convert "
            "it back with .float(), and for less precision than that call it inside "
            "torch.autocast"
        ) from error


@contextmanager
def forked_rng(seed: int | None = None) -> Iterator[None]:
    """Restore torch's global generators at the end of the block.

    Layers draw their initial weights from it, and dropout goes on drawing.

    Args:
        seed: Seed inside the block; by default the state is kept.
    """
    # A seed is CUDA's too, which is restored unless it was never used.
    is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if is_used else ()
    with torch.random.fork_rng(devices=gpus):
        if seed is not None:
            torch.manual_seed(seed)
        yield
