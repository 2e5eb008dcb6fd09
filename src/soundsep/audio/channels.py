"""Several channels to one."""

from __future__ import annotations

from soundsep.audio.checks import Samples

__all__ = ["average"]


def average(samples: Samples) -> Samples:
    """The mean of the channels, the same to the bit however a recording is cut into blocks.

    NumPy's ``mean`` adds in another order where a block is one sample long.

    Shape:
        samples: (channels, time). Returns (1, time).
    """
    total: Samples = samples[:1].copy()
    for channel in samples[1:]:
        total += channel
    total /= len(samples)
    return total
