"""Steps that move, hide or crop parts of clips in time and frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from soundsep.augment.base import ClipStep, check_input
from soundsep.augment.functions import mask
from soundsep.config import Config, check_range

__all__ = ["Mask", "RandomCrop", "Roll"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Roll(ClipStep):
    """A circular shift in time of each waveform, or of each clip's features.

    Attributes:
        probability: Chance that a clip is changed.
    """

    kind: ClassVar[str] = "roll"
    n_axes: ClassVar[tuple[int, ...]] = (2, 3)

    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        shifts = rng.integers(0, x.shape[-1], size=len(x)).tolist()
        return torch.stack([c.roll(s, dims=-1) for c, s in zip(x, shifts, strict=True)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Mask(ClipStep):
    """Random spans of time or frequency replaced by the clip's mean; see `mask`.

    Attributes:
        axis: Axis that the masks hide parts of.
        max_share: Widest mask, as a share of the frames or bands; narrower ones are as likely.
        n_masks: Masks per clip, from 1 to 100; they may overlap.
        probability: Chance that a clip is changed.
    """

    kind: ClassVar[str] = "mask"
    n_axes: ClassVar[tuple[int, ...]] = (3,)

    axis: Literal["time", "frequency"] = "time"
    max_share: float = 0.15
    n_masks: int = 1

    def _check(self) -> None:
        """Check the ranges."""
        ClipStep._check(self)
        check_range(self, "max_share", least=0, most=1)
        check_range(self, "n_masks", least=1, most=100)

    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        dim = -1 if self.axis == "time" else -2
        width = round(self.max_share * x.shape[dim])
        return mask(x, dim=dim, max_width=width, n_masks=self.n_masks, rng=rng)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomCrop(Config):
    """A random part of each waveform, or of each clip's features.

    An axis that is no longer than the crop is kept whole. In ``eval()`` nothing is cropped, so the
    network must take whole clips too.

    Attributes:
        length: Samples of a waveform, or frames of features, to keep.
        n_bands: Bands of features to keep; ``None`` keeps all.
    """

    kind: ClassVar[str] = "random-crop"

    length: int
    n_bands: int | None = None

    def _check(self) -> None:
        """Check the ranges."""
        check_range(self, "length", "n_bands", least=1, most=2**31)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Crop a batch, each clip at its own place.

        Args:
            x: Batch of clips.
            rng: Source of the random numbers.

        Shape:
            x: (batch, time) or (batch, n_bands, frames). Returns (batch, length) or
            (batch, n_bands, length).

        Raises:
            ShapeError: not such a tensor, empty or not floating point; or ``n_bands`` is set and
                ``x`` is a waveform.
        """
        check_input(self, x, (2, 3) if self.n_bands is None else (3,))
        x = _crop(x, -1, self.length, rng)
        return x if self.n_bands is None else _crop(x, -2, self.n_bands, rng)


def _crop(x: Tensor, dim: int, size: int, rng: np.random.Generator) -> Tensor:
    kept = min(size, x.shape[dim])
    starts = rng.integers(0, x.shape[dim] - kept + 1, size=len(x)).tolist()
    return torch.stack([c.narrow(dim, start, kept) for c, start in zip(x, starts, strict=True)])
