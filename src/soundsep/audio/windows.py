"""Cut a waveform into overlapping windows of one length."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from soundsep.audio.level import offset_of
from soundsep.errors import ConfigError, ShapeError

__all__ = ["pad_to", "split_windows", "window_starts"]


def pad_to(waveform: Tensor, n_samples: int, *, padding: Literal["zero", "reflect"]) -> Tensor:
    """Extend a waveform at its end; one that is long enough is returned as it is.

    Args:
        waveform: One waveform.
        n_samples: Smallest length of the result, in samples.
        padding: ``"zero"`` adds silence: zeros, or the constant offset that a classifier removes;
            ``"reflect"`` repeats the waveform backwards and forwards (without repeating its end
            samples) until it is long enough.

    Shape:
        waveform: (time,). Returns (max(time, n_samples),).

    Raises:
        ShapeError: not (time,), or no samples.

    Examples:
        >>> pad_to(torch.tensor([1.0, 2.0, 3.0]), 6, padding="reflect").tolist()
        [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    """
    if waveform.ndim != 1 or waveform.shape[0] == 0:
        raise ShapeError(f"expected a waveform (time,), got shape {tuple(waveform.shape)}")
    length = waveform.shape[0]
    if length >= n_samples:
        return waveform
    if padding == "zero":
        # Beside a recording with an offset, which is removed later, zeros would be a step.
        silence = waveform.new_zeros(1)
        if waveform.is_floating_point() and offset_of(waveform):
            first = waveform[:1]  # relative to it, so that what is constant stays so
            silence = first + (waveform - first).mean()
        return torch.cat((waveform, silence.expand(n_samples - length)))
    there_and_back = torch.cat((waveform, waveform[1:-1].flip(0)))
    return there_and_back.repeat(math.ceil(n_samples / there_and_back.shape[0]))[:n_samples]


def window_starts(n_samples: int, *, window: int, hop: int) -> list[int]:
    """First sample of every window.

    Windows begin every ``hop`` samples; the last one is moved back to end with the waveform, so
    that every sample counts and no window is padded.

    Args:
        n_samples: Length of the waveform, in samples.
        window: Length of a window, in samples.
        hop: Step between windows, in samples, 1 to ``window``.

    Raises:
        ConfigError: ``hop`` or ``window`` is out of range.

    Examples:
        >>> window_starts(10, window=4, hop=4)
        [0, 4, 6]
        >>> window_starts(3, window=4, hop=2)
        [0]
    """
    if not 1 <= hop <= window:
        raise ConfigError(f"windows need 1 <= hop <= window, got hop {hop} and window {window}")
    last = max(0, n_samples - window)
    return [*range(0, last, hop), last]


def split_windows(
    waveform: Tensor, *, window: int, hop: int, padding: Literal["zero", "reflect"]
) -> list[Tensor]:
    """All windows of one waveform, as views of it; a short one is padded to one window.

    The arguments are those of `window_starts` and `pad_to`.

    Shape:
        waveform: (time,). Returns tensors (window,), at least one.

    Raises:
        ShapeError: not (time,), or no samples.
        ConfigError: ``hop`` or ``window`` is out of range.
    """
    padded = pad_to(waveform, window, padding=padding)
    starts = window_starts(padded.shape[0], window=window, hop=hop)
    return [padded[start : start + window] for start in starts]
