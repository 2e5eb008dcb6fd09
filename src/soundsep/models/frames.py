"""A MobileNetV3 with logits for every frame and, pooled from them, for the whole.

References:
    Schmid et al. (2025), "Exploring performance-complexity trade-offs in sound event detection
    models" (arXiv 2503.11373): frame-wise MobileNets that keep the resolution of time.
    Kong et al. (2020), "PANNs: Large-scale pretrained audio neural networks for audio pattern
    recognition", IEEE/ACM TASLP 28 (arXiv 1912.10211), section IV: decisions pooled by attention.
    Yu, Koltun (2016), "Multi-scale context aggregation by dilated convolutions", ICLR: where a
    stride is undone and what follows is dilated, filters keep their meaning.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from soundsep.errors import ShapeError
from soundsep.models.mobilenet import N_BANDS, InvertedResidual, MobileNetV3
from soundsep.models.parts import as_picture

__all__ = ["Context", "FrameMobileNetV3", "mn04_context", "mn04_frames"]

FRAME_STRIDE = 16  # frames of the features per output frame
CONTEXT_CHANNELS = 128
CONTEXT_DILATIONS = (1, 2, 4, 8)  # 31 frames, or 5 s, all together


class _Mixing(nn.Module):
    """A frame's channels with those of its neighbours, beside a short cut."""

    def __init__(self, n_channels: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            n_channels, n_channels, 3, padding=dilation, dilation=dilation, groups=n_channels
        )
        self.pointwise = nn.Conv1d(n_channels, n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_channels, n_frames) to the same."""
        change: Tensor = self.pointwise(nn.functional.hardswish(self.depthwise(x)))
        return x + nn.functional.hardswish(change)


class Context(nn.Sequential):
    """What a frame's neighbours say of it: few channels, dilated convolutions over time.

    The last layer begins at zero, so that a trunk with it answers as it did without.

    Args:
        n_channels: Channels of a frame.

    Shape:
        frames: (batch, n_channels, n_frames). Returns the same.
    """

    def __init__(self, n_channels: int) -> None:
        expand = nn.Conv1d(CONTEXT_CHANNELS, n_channels, 1)
        nn.init.zeros_(expand.weight)
        nn.init.zeros_(cast(Tensor, expand.bias))
        super().__init__(
            nn.Conv1d(n_channels, CONTEXT_CHANNELS, 1),
            nn.Hardswish(),
            *(_Mixing(CONTEXT_CHANNELS, dilation) for dilation in CONTEXT_DILATIONS),
            expand,
        )


class FrameMobileNetV3(MobileNetV3):
    """MobileNetV3 with logits for every frame, pooled by attention into those of the whole.

    The last stride in time is undone, and the layers behind it are dilated: trained weights of
    `MobileNetV3` fit, and every second frame equals theirs. A linear layer on the four frequency
    bands of each frame gives its logits. The logits of the whole are their mean, weighted by a
    second linear layer; as long as that is zero, all frames count alike.

    Args:
        n_classes: Number of logits.
        width: Factor on all numbers of channels.
        has_context: Add to each frame what its neighbours within 2.4 s say of it.

    Shape:
        features: (batch, n_mels, frames) with 97 to 128 mel bands. Returns (batch, n_classes), and
        from `pooled` also (batch, n_frames, n_classes). An output frame stands for up to
        `FRAME_STRIDE` frames of the features, the first of which is its middle.
    """

    frame_stride = FRAME_STRIDE

    def __init__(self, n_classes: int, *, width: float, has_context: bool = False) -> None:
        super().__init__(n_classes, width=width, head="bands")
        is_dilated = False
        for block in list(self.blocks)[-3:]:
            convolution = cast(InvertedResidual, block).depthwise[0]
            assert isinstance(convolution, nn.Conv2d)
            if is_dilated:
                height = convolution.kernel_size[0] // 2
                convolution.dilation = (1, 2)
                convolution.padding = (height, 2 * height)
            if convolution.stride == (2, 2):
                convolution.stride, is_dilated = (2, 1), True
        # Without a bias: the softmax over time would cancel it.
        self.attention = nn.Linear(self.embedding_dim, n_classes, bias=False)
        nn.init.zeros_(self.attention.weight)
        self.context = Context(self.embedding_dim) if has_context else None

    def embed_frames(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to the last feature map, (batch, n_frames, embedding_dim).

        Raises:
            ShapeError: not (batch, n_mels, frames), or there are not 97 to 128 mel bands.
        """
        maps: Tensor = self.tail(self.blocks(self.stem(as_picture(features))))
        if maps.shape[-2] != N_BANDS:
            raise ShapeError(f"the network wants 97 to 128 mel bands, got {features.shape[-2]}")
        frames = maps.flatten(1, 2)
        if self.context is not None:
            frames = frames + self.context(frames)
        return frames.transpose(1, 2)

    def embed(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to the mean over all frames, (batch, embedding_dim)."""
        return self.embed_frames(features).mean(dim=1)

    def pooled(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the frames and of the whole, from the result of `embed_frames`.

        Shape:
            frames: (batch, n_frames, embedding_dim). Returns (batch, n_frames, n_classes) and
            (batch, n_classes).
        """
        logits: Tensor = self.head(frames)
        weight = self.attention(frames).softmax(dim=1)
        return logits, (logits * weight).sum(dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to logits (batch, n_classes)."""
        return self.pooled(self.embed_frames(features))[1]


def mn04_frames(n_classes: int) -> FrameMobileNetV3:
    """MobileNetV3 of width 0.4 with a frame every 0.16 s: 0.67 M parameters for 50 classes."""
    return FrameMobileNetV3(n_classes, width=0.4)


def mn04_context(n_classes: int) -> FrameMobileNetV3:
    """`mn04_frames` in which frames hear their neighbours: 1.13 M parameters for 50 classes."""
    return FrameMobileNetV3(n_classes, width=0.4, has_context=True)
