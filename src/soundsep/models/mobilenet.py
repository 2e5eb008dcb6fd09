"""MobileNetV3 for one-channel spectrograms, in the widths that were trained on AudioSet.

References:
    Howard et al. (2019), "Searching for MobileNetV3", ICCV, table 1 (the large model).
    Schmid et al. (2023), "Efficient large-scale audio tagging via transformer-to-CNN knowledge
    distillation", ICASSP (arXiv 2211.04772): the width multiplier and the one-channel stem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

from soundsep.errors import ShapeError
from soundsep.models.parts import as_picture

__all__ = ["MobileNetV3", "mn04", "mn04_bands", "mn10", "mn10_bands"]

N_BANDS = 4  # rows of the last feature map, from 128 mel bands

# Kernel size, expanded channels, output channels, squeeze-excitation, hard-swish, stride.
_BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


def _divisible(channels: float) -> int:
    """The multiple of 8 nearest to ``channels``, never more than a tenth below it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and, if one is given, an activation.

    Args:
        n_in: Input channels.
        n_out: Output channels.
        kernel_size: Height and width of the kernel.
        stride: Stride in both directions.
        groups: Groups of channels that are convolved by themselves.
        activation: Class of the activation.

    Shape:
        x: (batch, n_in, height, width). Returns (batch, n_out, height / stride, width / stride),
        rounded up.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.ReLU] | type[nn.Hardswish] | None = None,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(
                n_in, n_out, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
            ),
            nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01),
        ]
        if activation is not None:
            layers.append(activation(inplace=True))
        super().__init__(*layers)


class SqueezeExcitation(nn.Module):
    """Weight every channel by a function of all channels' means over the spectrogram.

    Args:
        n_channels: Channels of input and output.

    Shape:
        x: (batch, n_channels, height, width). Returns the same.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_squeezed = _divisible(n_channels // 4)
        self.squeeze = nn.Linear(n_channels, n_squeezed)
        self.excite = nn.Linear(n_squeezed, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the channels."""
        weight: Tensor = self.excite(self.squeeze(x.mean(dim=(-2, -1))).relu()).sigmoid()
        return x * weight[..., None, None]


class InvertedResidual(nn.Module):
    """Expand, convolve each channel by itself, weight the channels, project; plus the input.

    Args:
        n_in: Input channels.
        n_expanded: Channels between the expansion and the projection.
        n_out: Output channels.
        kernel_size: Height and width of the kernel.
        stride: Stride in both directions; with 2, or another ``n_out``, the input is not added.
        excitation: Whether to weight the channels, see `SqueezeExcitation`.
        activation: Class of the activations.

    Shape:
        x: (batch, n_in, height, width). Returns (batch, n_out, height / stride, width / stride),
        rounded up.
    """

    def __init__(
        self,
        n_in: int,
        n_expanded: int,
        n_out: int,
        *,
        kernel_size: int,
        stride: int,
        excitation: bool,
        activation: type[nn.ReLU] | type[nn.Hardswish],
    ) -> None:
        super().__init__()
        self.expand = (
            ConvNorm(n_in, n_expanded, 1, activation=activation)
            if n_expanded != n_in
            else nn.Identity()
        )
        self.depthwise = ConvNorm(
            n_expanded,
            n_expanded,
            kernel_size,
            stride=stride,
            groups=n_expanded,
            activation=activation,
        )
        self.excitation = SqueezeExcitation(n_expanded) if excitation else nn.Identity()
        self.project = ConvNorm(n_expanded, n_out, 1)
        self.has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out: Tensor = self.project(self.excitation(self.depthwise(self.expand(x))))
        return x + out if self.has_shortcut else out


class MobileNetV3(nn.Module):
    """MobileNetV3-Large with a width multiplier, a one-channel stem and global average pooling.

    Args:
        n_classes: Number of logits.
        width: Factor on all numbers of channels.
        head: ``"hidden"`` averages the last feature map over time and frequency and has a hidden
            layer, as on AudioSet; ``"bands"`` averages over time alone and is a linear layer, which
            can tell high from low (on ESC-50 it gains .8 points of a linear probe, with folds 1 to
            4 each held out in turn).

    Shape:
        features: (batch, n_mels, frames), with ``"hidden"`` any size from 1 x 1 on, with
        ``"bands"`` 97 to 128 mel bands. Returns (batch, n_classes).
    """

    def __init__(self, n_classes: int, *, width: float, head: Literal["hidden", "bands"]) -> None:
        super().__init__()
        n_in = _divisible(16 * width)
        self.stem = ConvNorm(1, n_in, 3, stride=2, activation=nn.Hardswish)
        blocks: list[nn.Module] = []
        for kernel_size, n_expanded, n_out, excitation, hard_swish, stride in _BLOCKS:
            blocks.append(
                InvertedResidual(
                    n_in,
                    _divisible(n_expanded * width),
                    _divisible(n_out * width),
                    kernel_size=kernel_size,
                    stride=stride,
                    excitation=excitation,
                    activation=nn.Hardswish if hard_swish else nn.ReLU,
                )
            )
            n_in = _divisible(n_out * width)
        self.blocks = nn.Sequential(*blocks)
        self.tail = ConvNorm(n_in, 6 * n_in, 1, activation=nn.Hardswish)
        self.has_bands = head == "bands"
        self.embedding_dim = 6 * n_in * (N_BANDS if self.has_bands else 1)
        n_hidden = _divisible(1280 * width)
        self.head: nn.Module = (
            nn.Sequential(
                nn.Linear(self.embedding_dim, n_hidden),
                nn.Hardswish(inplace=True),
                nn.Dropout(0.2),
                nn.Linear(n_hidden, n_classes),
            )
            if head == "hidden"
            else nn.Linear(self.embedding_dim, n_classes)
        )
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def embed(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to the averaged last feature map, (batch, embedding_dim).

        Raises:
            ShapeError: not (batch, n_mels, frames); or the head is ``"bands"``, and there are not
                97 to 128 mel bands.
        """
        maps: Tensor = self.tail(self.blocks(self.stem(as_picture(features))))
        if not self.has_bands:
            return maps.mean(dim=(-2, -1))
        if maps.shape[-2] != N_BANDS:
            raise ShapeError(f"the network wants 97 to 128 mel bands, got {features.shape[-2]}")
        return maps.mean(dim=-1).flatten(1)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to logits (batch, n_classes)."""
        logits: Tensor = self.head(self.embed(features))
        return logits

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, features: Tensor) -> Tensor:
            """As `forward`."""
            ...


def mn04(n_classes: int) -> MobileNetV3:
    """MobileNetV3 of width 0.4 with the hidden layer: 0.98 M parameters for 527 classes."""
    return MobileNetV3(n_classes, width=0.4, head="hidden")


def mn04_bands(n_classes: int) -> MobileNetV3:
    """MobileNetV3 of width 0.4, linear head on four bands: 0.59 M parameters for 50 classes."""
    return MobileNetV3(n_classes, width=0.4, head="bands")


def mn10(n_classes: int) -> MobileNetV3:
    """MobileNetV3 of width 1 with the hidden layer: 4.88 M parameters for 527 classes."""
    return MobileNetV3(n_classes, width=1.0, head="hidden")


def mn10_bands(n_classes: int) -> MobileNetV3:
    """MobileNetV3 of width 1, linear head on four bands: 3.16 M parameters for 50 classes."""
    return MobileNetV3(n_classes, width=1.0, head="bands")
