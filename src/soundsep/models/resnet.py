"""Residual networks for one-channel spectrograms of any size.

References:
    He et al. (2016), "Deep residual learning for image recognition", CVPR, table 1.
    He et al. (2019), "Bag of tricks for image classification", CVPR, section 3 (zero-initialised
    last scale of each block).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from soundsep.models.parts import as_picture

__all__ = ["ResNet", "resnet18", "resnet34", "resnet50"]


def _conv_norm(n_in: int, n_out: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out))


class _HalvingMaxPool(nn.MaxPool2d):
    """Max pooling that `torch.export` can trace for any number of frames."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # Tracing a pool of stride 2 pins down whether its input is of odd or even length; every
            # second value of one of stride 1 is the same and leaves that open.
            return nn.functional.max_pool2d(x, 3, 1, padding=1)[..., ::2, ::2]
        pooled: Tensor = super().forward(x)
        return pooled


class ResidualBlock(nn.Module):
    """``relu(branch(x) + shortcut(x))``: the basic block, or the bottleneck one (expansion 4).

    Args:
        n_in: Input channels.
        width: Channels inside the block; a bottleneck block has 4 times as many outputs.
        stride: Stride in both directions.
        bottleneck: Three convolutions of which only the middle one is 3 x 3, instead of two.

    Shape:
        x: (batch, n_in, height, width). Returns (batch, n_out, height / stride, width / stride),
        rounded up.
    """

    def __init__(self, n_in: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        n_out = width * (4 if bottleneck else 1)
        self.relu = nn.ReLU(inplace=True)
        if bottleneck:
            self.branch = nn.Sequential(
                _conv_norm(n_in, width, 1),
                nn.ReLU(inplace=True),
                _conv_norm(width, width, 3, stride),
                nn.ReLU(inplace=True),
                _conv_norm(width, n_out, 1),
            )
        else:
            self.branch = nn.Sequential(
                _conv_norm(n_in, width, 3, stride),
                nn.ReLU(inplace=True),
                _conv_norm(width, n_out, 3),
            )
        same = stride == 1 and n_in == n_out
        self.shortcut = nn.Identity() if same else _conv_norm(n_in, n_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return out


class ResNet(nn.Module):
    """ResNet with a one-channel stem and global average pooling.

    Args:
        n_blocks: Blocks in each of the four stages.
        n_classes: Number of logits.
        bottleneck: Use bottleneck blocks, as ResNet-50 does.

    Shape:
        features: (batch, n_mels, frames), any size from 1 x 1 on. Returns (batch, n_classes).
    """

    def __init__(
        self, n_blocks: tuple[int, int, int, int], n_classes: int, *, bottleneck: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv_norm(1, 64, 7, 2), nn.ReLU(inplace=True), _HalvingMaxPool(3, 2, padding=1)
        )
        stages: list[nn.Module] = []
        n_in = 64
        for i, n in enumerate(n_blocks):
            width = 64 * 2**i
            blocks: list[nn.Module] = []
            for j in range(n):
                stride = 2 if i > 0 and j == 0 else 1
                blocks.append(ResidualBlock(n_in, width, stride, bottleneck=bottleneck))
                n_in = width * (4 if bottleneck else 1)
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.embedding_dim = n_in
        self.head = nn.Linear(n_in, n_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                # Each block starts as the identity, which steadies the first epochs.
                last_norm = module.branch[-1][1]  # type: ignore[index]  # Sequential of Sequential
                nn.init.zeros_(last_norm.weight)

    def embed(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to the averaged last feature map, (batch, embedding_dim).

        Raises:
            ShapeError: not (batch, n_mels, frames).
        """
        maps: Tensor = self.stages(self.stem(as_picture(features)))
        return maps.mean(dim=(-2, -1))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to logits (batch, n_classes)."""
        logits: Tensor = self.head(self.embed(features))
        return logits

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, features: Tensor) -> Tensor:
            """As `forward`."""
            ...


def resnet18(n_classes: int) -> ResNet:
    """ResNet-18: 11.2 M parameters."""
    return ResNet((2, 2, 2, 2), n_classes)


def resnet34(n_classes: int) -> ResNet:
    """ResNet-34: 21.3 M parameters."""
    return ResNet((3, 4, 6, 3), n_classes)


def resnet50(n_classes: int) -> ResNet:
    """ResNet-50: 23.6 M parameters."""
    return ResNet((3, 4, 6, 3), n_classes, bottleneck=True)
