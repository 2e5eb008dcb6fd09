"""How loud a clip is, and soft clips made louder."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["level_db", "offset_of", "raised", "raising_gain", "without_offset"]

LEVEL_SECONDS = 0.1  # a click is shorter, a bark is not
PREEMPHASIS = 0.97  # of the features of speech and AudioSet: rumble is loud, but hardly heard
N_FIRST = 20  # halves of the loudest part that are looked at first, a second
MAX_GAIN_DB = 80.0  # brings the dither of 16 bits to the level of a room
# Of the deviation: the least offset that is removed. The clips of ESC-50 that are named otherwise
# without theirs have less, and others that get more are named as well as before.
OFFSET_SHARE = 0.1


def level_db(waveform: Tensor, *, sample_rate: int) -> float:
    """Level of the loudest `LEVEL_SECONDS`, in dBFS: mean power after pre-emphasis.

    A constant offset does not count. The loudest part is searched for in steps of half its length:
    a sound of just that length may come out up to 1.3 dB too low. Of a shorter clip it is the level
    of the whole.

    Args:
        waveform: The clip.
        sample_rate: Its rate, in Hz.

    Shape:
        waveform: (time,), mono.

    Returns:
        The level; minus infinity for digital silence, a single sample, and numbers that are none.

    Examples:
        >>> import torch
        >>> noise = torch.randn(32_000, generator=torch.Generator().manual_seed(0))
        >>> round(level_db(noise, sample_rate=32_000) - level_db(noise / 10, sample_rate=32_000))
        20
    """
    return _level_db(waveform, waveform.mean(), _half(sample_rate))


def _half(sample_rate: int) -> int:
    """Half of the loudest part, in samples."""
    return max(1, round(LEVEL_SECONDS * sample_rate / 2))


def _level_db(waveform: Tensor, offset: Tensor, half: int) -> float:
    power = torch.sub(waveform[1:], waveform[:-1], alpha=PREEMPHASIS)
    power.sub_((1 - PREEMPHASIS) * offset).square_()
    if len(power) <= 2 * half:
        mean = power.mean()
    else:
        whole = len(power) // half * half
        rest = power[whole:].sum()  # a sound may begin just before the end
        sums = torch.cat((power[:whole].view(-1, half).sum(dim=1), rest[None]))
        mean = (sums[1:] + sums[:-1]).amax() / (2 * half)
    return 10 * math.log10(mean) if mean > 0 else -math.inf


def raising_gain(waveform: Tensor, wanted_db: float, *, sample_rate: int) -> float:
    """Factor that brings a clip whose `level_db` is below ``wanted_db`` to it; 1 for all others.

    A gain is at most `MAX_GAIN_DB`. Where there is no level, there is nothing to raise.

    Shape:
        waveform: (time,), mono.
    """
    offset, half = waveform.mean(), _half(sample_rate)
    first = waveform[: N_FIRST * half + 1]  # whole halves after pre-emphasis, as in the whole clip
    if len(first) < len(waveform) and _level_db(first, offset, half) >= wanted_db:
        return 1.0  # loud enough, whatever follows
    level = _level_db(waveform, offset, half)
    missing = wanted_db - level if math.isfinite(level) else 0.0
    return float(10 ** (min(max(missing, 0.0), MAX_GAIN_DB) / 20))


def raised(waveform: Tensor, gain: float) -> Tensor:
    """The waveform times a gain above 1, but not its offset, which would drown it; else itself.

    Shape:
        waveform: (time,). Returns (time,).
    """
    return (waveform - waveform.mean()).mul_(gain) if gain > 1 else waveform


def without_offset(waveform: Tensor) -> Tensor:
    """Each waveform without its constant offset, if that is no less than a tenth of its deviation.

    Cheap sound cards add one. It is no sound, but windows of a spectrogram spread it over the
    lowest bands. What has less stays as it is, to the bit.

    Shape:
        waveform: (batch, time). Returns the same.

    Examples:
        >>> import torch
        >>> without_offset(torch.tensor([[1.0, 3.0], [1.0, -0.9]]))
        tensor([[-1.0000,  1.0000],
                [ 1.0000, -0.9000]])
    """
    offset = offset_of(waveform)
    rest = waveform - offset
    # Means are rounded, by ONNX Runtime to four digits, which soft sound on a large offset would
    # show; the mean of what is left is rounded to as many digits of itself.
    missed = rest.mean(dim=-1, keepdim=True)
    return rest - torch.where(offset == 0, 0.0, missed)


def offset_of(waveform: Tensor) -> Tensor:
    """The constant offset that `without_offset` removes, 0 if it is too small to be removed.

    Shape:
        waveform: (..., time). Returns (..., 1).
    """
    offset = waveform.mean(dim=-1, keepdim=True)
    variance = waveform.square().mean(dim=-1, keepdim=True) - offset.square()
    is_heard = offset.square() >= OFFSET_SHARE**2 * variance
    return torch.where(is_heard, offset, 0.0)
