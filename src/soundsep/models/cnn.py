"""Plain convolutional networks for spectrograms: mel, MFCC or gammatone.

The three are published ideas in sizes of our own. All use batch norm and average the last feature
map over time and frequency, so that they take any size of input.

References:
    Simonyan and Zisserman (2015), "Very deep convolutional networks for large-scale image
    recognition", ICLR: 3 x 3 convolutions, twice the channels after a pool (``cnn4``).
    Springenberg et al. (2015), "Striving for simplicity: the all convolutional net", ICLR workshop:
    strides instead of pools, and an average at the end (``cnn8``).
    Salamon and Bello (2017), "Deep convolutional neural networks and data augmentation for
    environmental sound classification", IEEE Signal Processing Letters 24(3), section II-A: three
    layers of 5 x 5 with pools of 4 bands by 2 frames between them (``cnn-mel``). Theirs have 24, 48
    and 48 channels, then a hidden layer on the flattened map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from soundsep.models.parts import MaxPool, as_picture

__all__ = ["CNN", "ConvBlock", "Layer", "cnn4", "cnn8", "cnn_mel", "conv_blocks"]


class Layer(NamedTuple):
    """One convolution of a network's table.

    Attributes:
        n_out: Output channels.
        kernel_size: Height and width of the kernel.
        stride: Stride in both directions.
        pool: Max pooling after it, in bands and frames.
    """

    n_out: int
    kernel_size: int = 3
    stride: int = 1
    pool: tuple[int, int] = (1, 1)


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU and, if the layer has a pool, max pooling.

    Args:
        n_in: Input channels.
        layer: Sizes of the rest.

    Shape:
        x: (batch, n_in, height, width). Returns (batch, layer.n_out, height, width) before stride
        and pool.
    """

    def __init__(self, n_in: int, layer: Layer) -> None:
        n_out, kernel_size, stride, pool = layer
        super().__init__(
            nn.Conv2d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )
        if pool != (1, 1):
            self.append(MaxPool(*pool))


def conv_blocks(layers: Sequence[Layer]) -> nn.Sequential:
    """The blocks of a table in a row, from one channel on.

    Args:
        layers: Sizes of the convolutions, in order.
    """
    return nn.Sequential(*map(ConvBlock, (1, *(layer.n_out for layer in layers)), layers))


class CNN(nn.Module):
    """Convolutions in a row, then the average of the last feature map and a linear layer.

    Args:
        layers: Sizes of the convolutions, in order.
        n_classes: Number of logits.

    Shape:
        features: (batch, n_mels, frames), any size from 1 x 1 on. Returns (batch, n_classes).
    """

    def __init__(self, layers: tuple[Layer, ...], n_classes: int) -> None:
        super().__init__()
        self.blocks = conv_blocks(layers)
        self.embedding_dim = layers[-1].n_out
        self.head = nn.Linear(self.embedding_dim, n_classes)

    def embed(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to the averaged last feature map, (batch, embedding_dim).

        Raises:
            ShapeError: not (batch, n_mels, frames), or empty.
        """
        maps: Tensor = self.blocks(as_picture(features))
        return maps.mean(dim=(-2, -1))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to logits (batch, n_classes)."""
        logits: Tensor = self.head(self.embed(features))
        return logits

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, features: Tensor) -> Tensor:
            """As `forward`."""
            ...


def cnn4(n_classes: int) -> CNN:
    """Four convolutions, each with max pooling."""
    return CNN(tuple(Layer(n, pool=(2, 2)) for n in (32, 64, 128, 256)), n_classes)


def cnn8(n_classes: int) -> CNN:
    """Eight convolutions in pairs, the first of each with stride 2; only the last average pools."""
    layers = [Layer(n, stride=stride) for n in (32, 64, 128, 256) for stride in (2, 1)]
    return CNN(tuple(layers), n_classes)


def cnn_mel(n_classes: int) -> CNN:
    """Three convolutions of 5 x 5 that pool bands more than frames."""
    layers = (Layer(32, 5, pool=(4, 2)), Layer(64, 5, pool=(4, 2)), Layer(128, 5))
    return CNN(layers, n_classes)
