"""How loud a clip is, and soft clips made louder."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["level_db", "raising_gain"]

LEVEL_SECONDS = 0.1  # a click is shorter, a bark is not
PREEMPHASIS = 0.97  # of the features of speech and AudioSet: rumble is loud, but hardly heard
MAX_GAIN_DB = 80.0  # brings the dither of 16 bits to the level of a room


def level_db(waveform: Tensor, *, sample_rate: int) -> float:
    """Level of the loudest `LEVEL_SECONDS`, in dBFS: mean power after pre-emphasis.

    Args:
        waveform: The clip.
        sample_rate: Its rate, in Hz.

    Shape:
        waveform: (time,), mono, at least two samples.

    Returns:
        The level; minus infinity for digital silence.

    Examples:
        >>> import torch
        >>> noise = torch.randn(32_000, generator=torch.Generator().manual_seed(0))
        >>> round(level_db(noise, sample_rate=32_000) - level_db(noise / 10, sample_rate=32_000))
        20
    """
    half = max(1, round(LEVEL_SECONDS * sample_rate / 2))  # of the loudest part
    power = torch.sub(waveform[1:], waveform[:-1], alpha=PREEMPHASIS).square_()
    whole = power[: len(power) // half * half].view(-1, half).sum(dim=1)
    # Only a clip that is shorter than its loudest part would be has fewer than two halves.
    mean = (whole[1:] + whole[:-1]).amax() / (2 * half) if len(whole) > 1 else power.mean()
    return 10 * math.log10(mean) if mean > 0 else -math.inf


def raising_gain(waveform: Tensor, wanted_db: float, *, sample_rate: int) -> float:
    """Factor that brings a clip whose `level_db` is below ``wanted_db`` to it; 1 for louder ones.

    A gain is at most `MAX_GAIN_DB`.

    Shape:
        waveform: (time,), mono, at least two samples.
    """
    missing = wanted_db - level_db(waveform, sample_rate=sample_rate)
    return 10 ** (min(max(missing, 0.0), MAX_GAIN_DB) / 20)
