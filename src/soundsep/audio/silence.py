"""What counts as silence."""

from __future__ import annotations

from torch import Tensor

from soundsep.audio.level import without_offset

__all__ = ["SILENCE", "is_silent"]

SILENCE = 2.0**-23  # one step of 24-bit audio
N_FIRST = 2**10  # samples of a waveform, which are seldom silent in one that is not


def is_silent(waveform: Tensor, silence_db: float | None = None) -> bool:
    """Whether there is nothing to name: digital silence, or a level below ``silence_db``.

    Digital silence is one constant value, within a step of 24-bit audio to either side: the highest
    sample is at most two steps above the lowest. What the value is does not matter, nor that it
    differs from channel to channel. The level is the mean power in dB, of which a full-scale square
    wave has 0 and a sine -3, without the constant offset that a classifier removes.

    Shape:
        waveform: (time,) or (channels, time).

    Examples:
        >>> import torch
        >>> is_silent(torch.full((16_000,), 0.3)), is_silent(torch.tensor([0.3, 0.3, 0.30001]))
        (True, False)
    """
    if _is_flat(waveform[..., :N_FIRST]) and _is_flat(waveform):
        return True
    if silence_db is None:
        return False
    return bool(10 * without_offset(waveform).square().mean().log10() < silence_db)


def _is_flat(waveform: Tensor) -> bool:
    # One by one, which is faster than `aminmax` over an axis. The difference is exact where the two
    # are near each other.
    channels = waveform.reshape(-1, waveform.shape[-1])
    extremes = (channel.aminmax() for channel in channels)
    return all(float(highest) - float(lowest) <= 2 * SILENCE for lowest, highest in extremes)
