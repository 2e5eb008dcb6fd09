"""Parts that the networks share: checks of their input, and a pool that takes any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soundsep.errors import ShapeError

__all__ = ["MaxPool", "as_picture", "as_waveform"]


def as_picture(features: Tensor) -> Tensor:
    """Add an axis for channels to spectrograms.

    Shape:
        features: (batch, n_mels, frames). Returns (batch, 1, n_mels, frames).

    Raises:
        ShapeError: not (batch, n_mels, frames), or no band or frame.
    """
    if features.ndim != 3 or min(features.shape[1:]) < 1:
        raise ShapeError(
            "the network expects features (batch, n_mels, frames) of at least one band and one "
            f"frame, got {tuple(features.shape)}"
        )
    return features.unsqueeze(1)


def as_waveform(features: Tensor) -> Tensor:
    """Turn waveforms into images of one row.

    Shape:
        features: (batch, 1, time). Returns (batch, 1, 1, time).

    Raises:
        ShapeError: not (batch, 1, time), or no sample.
    """
    if features.ndim != 3 or features.shape[1] != 1 or features.shape[2] < 1:
        raise ShapeError(
            "the network expects waveforms (batch, 1, time) of at least one sample, got "
            f"{tuple(features.shape)}; a waveform frontend gives them"
        )
    return features.unsqueeze(2)


class MaxPool(nn.Module):
    """Max pooling whose last window is shorter where the size does not fit, so that any size does.

    Args:
        height, width: Size of the window.

    Shape:
        x: (batch, n_channels, n_rows, n_columns). Returns the same with n_rows / height and
        n_columns / width, rounded up.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        """The largest value of each window."""
        window = (self.height, self.width)
        if not torch.compiler.is_compiling():
            return nn.functional.max_pool2d(x, window, ceil_mode=True)
        # Tracing a pool of stride 2 pins down whether its input is of odd or even length; every
        # second value of one of stride 1 is the same and leaves that open.
        padded = nn.functional.pad(x, (0, self.width - 1, 0, self.height - 1), value=-torch.inf)
        dense = nn.functional.max_pool2d(padded, window, stride=1)
        return dense[..., :: self.height, :: self.width]

    def extra_repr(self) -> str:
        """Show the window in the module's printed form."""
        return f"{self.height}, {self.width}"
