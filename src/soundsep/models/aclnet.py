"""AclNet: a learnt filter bank on the waveform, then a small VGG on its output.

From the paper's abstract: the waveform as input, widths that trade accuracy for size, 155 k
parameters in a small configuration. Its layer tables were not available; sizes of kernels, strides,
pools and channels follow a public reimplementation that cites them. With these, and separable
convolutions, width 0.5 has 155 248 weights for 50 classes, without batch norm, which agrees with
the abstract. Our own are the batch norm and ReLU after each convolution, and the order at the end:
the average comes before a linear layer, so that any length fits. A 1 x 1 convolution that is
averaged afterwards differs only by its norm and ReLU.

References:
    Huang and Alvarado Leanos (2018), "AclNet: efficient end-to-end audio classification CNN",
    arXiv 1811.06669.
    Howard et al. (2017), "MobileNets: efficient convolutional neural networks for mobile vision
    applications", arXiv 1704.04861, section 3: depthwise-separable convolutions, width multiplier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from soundsep.models.cnn import ConvBlock, Layer
from soundsep.models.parts import MaxPool, as_waveform
from soundsep.models.wavecnn import WaveBlock

__all__ = ["AclNet", "aclnet", "aclnet_05"]

N_FILTERS = 64
FRAME = 160  # samples; 10 ms at 16 kHz
# Output channels of each stage's separable convolutions, at width 1.
_STAGES = ((64, 64), (128, 128), (256, 256), (512, 512))


class SeparableConv(nn.Sequential):
    """Each channel convolved by itself, then all mixed, both with batch norm and ReLU.

    Args:
        n_in: Input channels.
        n_out: Output channels.

    Shape:
        x: (batch, n_in, height, width). Returns (batch, n_out, height, width).
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in, bias=False),
            nn.BatchNorm2d(n_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_in, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )


class AclNet(nn.Module):
    """64 learnt filters in frames of 160 samples, whose output a separable VGG takes as an image.

    Args:
        n_classes: Number of logits.
        width: Factor on the channels of the VGG.

    Shape:
        features: (batch, 1, time), any length from one sample on. Returns (batch, n_classes).
    """

    def __init__(self, n_classes: int, *, width: float = 1.0) -> None:
        super().__init__()
        self.filters = nn.Sequential(
            WaveBlock(1, 16, 9, stride=2),
            WaveBlock(16, N_FILTERS, 5, stride=4),
            MaxPool(1, FRAME // (2 * 4)),
        )
        n_in = round(32 * width)
        layers: list[nn.Module] = [ConvBlock(1, Layer(n_in, pool=(2, 2)))]
        for stage in _STAGES:
            for channels in stage:
                n_out = round(channels * width)
                layers.append(SeparableConv(n_in, n_out))
                n_in = n_out
            layers.append(MaxPool(2, 2))
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.embedding_dim = n_in
        self.head = nn.Linear(n_in, n_classes)

    def embed(self, features: Tensor) -> Tensor:
        """(batch, 1, time) to the averaged last feature map, (batch, embedding_dim).

        Raises:
            ShapeError: not (batch, 1, time), or empty.
        """
        filtered: Tensor = self.filters(as_waveform(features))
        picture = filtered.transpose(1, 2)  # (batch, 1, filter, frame)
        maps: Tensor = self.layers(picture)
        averages: Tensor = self.dropout(maps.mean(dim=(-2, -1)))
        return averages

    def forward(self, features: Tensor) -> Tensor:
        """(batch, 1, time) to logits (batch, n_classes)."""
        logits: Tensor = self.head(self.embed(features))
        return logits

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, features: Tensor) -> Tensor:
            """As `forward`."""
            ...


def aclnet(n_classes: int) -> AclNet:
    """AclNet of width 1."""
    return AclNet(n_classes)


def aclnet_05(n_classes: int) -> AclNet:
    """AclNet of width 0.5: a quarter of the weights."""
    return AclNet(n_classes, width=0.5)
