"""Rules for computing in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MIN_FRAMES", "bfloat16_for"]

# Networks divide the frames by up to 32. If one frame is left, oneDNN's bfloat16 convolutions of
# stride 2 read uninitialised memory and return noise or NaN (torch 2.11, AVX-512; the report
# pytorch/pytorch#163347 is similar).
MIN_FRAMES = 64


def bfloat16_for(features: Tensor, *, enabled: bool) -> torch.autocast:
    """Autocast to bfloat16 for a network that takes these features.

    Args:
        features: Input of the network; a CPU computes fewer than `MIN_FRAMES` frames in float32.
        enabled: Use bfloat16 at all.

    Shape:
        features: (batch, n_mels, frames).
    """
    device = features.device.type
    is_long = device != "cpu" or features.shape[-1] >= MIN_FRAMES
    return torch.autocast(device, torch.bfloat16, enabled=enabled and is_long)
