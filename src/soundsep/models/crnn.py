"""Convolutions, then a recurrent layer over time.

References:
    Cakir et al. (2017), "Convolutional recurrent neural networks for polyphonic sound event
    detection", IEEE/ACM TASLP 25(6) (arXiv 1702.06286), section III: convolutions that pool the
    frequencies away and keep time, then recurrent layers. Theirs are one-way gated units with an
    output per frame; ours is a bidirectional LSTM with one output, from the mean over time.
    Graves and Schmidhuber (2005), "Framewise phoneme classification with bidirectional LSTM and
    other neural network architectures", Neural Networks 18(5-6): the recurrent layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from soundsep.models.cnn import Layer, conv_blocks
from soundsep.models.parts import as_picture

__all__ = ["CRNN", "crnn"]

_LAYERS = (
    Layer(32, pool=(2, 2)),
    Layer(64, pool=(2, 2)),
    Layer(128, pool=(2, 1)),
    Layer(128, pool=(2, 1)),
)
N_HIDDEN = 128  # of each direction


class CRNN(nn.Module):
    """Convolutions that pool 16 bands but only 4 frames into one, then the mean of an LSTM.

    Args:
        n_classes: Number of logits.

    Shape:
        features: (batch, n_mels, frames), any size from 1 x 1 on. Returns (batch, n_classes).
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.blocks = conv_blocks(_LAYERS)
        self.lstm = nn.LSTM(_LAYERS[-1].n_out, N_HIDDEN, batch_first=True, bidirectional=True)
        self.embedding_dim = 2 * N_HIDDEN
        self.head = nn.Linear(self.embedding_dim, n_classes)

    def embed(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to the LSTM's average over time, (batch, embedding_dim).

        Raises:
            ShapeError: not (batch, n_mels, frames), or empty.
        """
        maps: Tensor = self.blocks(as_picture(features))
        # (batch, frames, channels); the mean over the bands that are left fits any number of them.
        steps: Tensor = self.lstm(maps.mean(dim=-2).transpose(1, 2))[0]
        return steps.mean(dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to logits (batch, n_classes)."""
        logits: Tensor = self.head(self.embed(features))
        return logits

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, features: Tensor) -> Tensor:
            """As `forward`."""
            ...


def crnn(n_classes: int) -> CRNN:
    """Four convolutions and one bidirectional LSTM."""
    return CRNN(n_classes)
