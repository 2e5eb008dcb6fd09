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

__all__ = ["FrameMobileNetV3", "mn04_frames"]

FRAME_STRIDE = 16  # frames of the features per output frame


class FrameMobileNetV3(MobileNetV3):
    """MobileNetV3 with logits for every frame, pooled by attention into those of the whole.

    The last stride in time is undone, and the layers behind it are dilated: trained weights of
    `MobileNetV3` fit, and every second frame equals theirs. A linear layer on the four frequency
    bands of each frame gives its logits. The logits of the whole are their mean, weighted by a
    second linear layer; as long as that is zero, all frames count alike.

    Args:
        n_classes: Number of logits.
        width: Factor on all numbers of channels.

    Shape:
        features: (batch, n_mels, frames) with 97 to 128 mel bands. Returns (batch, n_classes), and
        from `pooled` also (batch, n_frames, n_classes). An output frame stands for up to
        `FRAME_STRIDE` frames of the features, the first of which is its middle.
    """

    frame_stride = FRAME_STRIDE

    def __init__(self, n_classes: int, *, width: float) -> None:
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

    def embed_frames(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) to the last feature map, (batch, n_frames, embedding_dim).

        Raises:
            ShapeError: there are not 97 to 128 mel bands.
        """
        maps: Tensor = self.tail(self.blocks(self.stem(features.unsqueeze(1))))
        if maps.shape[-2] != N_BANDS:
            raise ShapeError(f"the network wants 97 to 128 mel bands, got {features.shape[-2]}")
        return maps.flatten(1, 2).transpose(1, 2)

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
