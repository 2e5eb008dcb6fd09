"""What all steps of an augmentation share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from soundsep.config import Config, check_range
from soundsep.devices import check_tensor
from soundsep.errors import ShapeError

__all__ = ["ClipStep", "check_input"]

AXES = {2: "(batch, time)", 3: "(batch, n_bands, frames)"}
LAYOUTS = {2: f"waveforms {AXES[2]}", 3: f"features {AXES[3]}"}


def check_input(step: Config, x: Tensor, n_axes: tuple[int, ...]) -> None:
    """Refuse a tensor that the step does not take.

    Args:
        step: Config of the step, for the message.
        x: Input of the step, expected to be (batch, time) or (batch, n_bands, frames).
        n_axes: Numbers of axes that the step takes, of those in `LAYOUTS`.

    Raises:
        ShapeError: no tensor, another number of axes, an empty batch, or not floating point.
    """
    check_tensor(type(step).__name__, x, " or ".join(AXES[n] for n in n_axes))
    if x.ndim not in n_axes or x.numel() == 0:
        raise ShapeError(
            f"{type(step).__name__} takes {' or '.join(LAYOUTS[n] for n in n_axes)} that are not "
            f"empty, got shape {tuple(x.shape)}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipStep(Config):
    """Base of the steps that change each clip by itself, with some probability.

    Attributes:
        probability: Chance that a clip is changed; the others stay as they are.
    """

    n_axes: ClassVar[tuple[int, ...]] = (2,)  # of what the step takes, see LAYOUTS

    probability: float = 1.0

    def _check(self) -> None:
        """Check the range."""
        check_range(self, "probability", least=0, most=1)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Change a batch; the input itself stays as it is.

        Args:
            x: Batch of clips, on any device.
            rng: Source of the random numbers.

        Shape:
            x: (batch, time), or (batch, n_bands, frames) where the step takes features. Returns
            the same.

        Raises:
            ShapeError: the step does not take this shape, the batch is empty or not of
                floating-point numbers.
        """
        check_input(self, x, self.n_axes)
        if self.probability == 1:
            return self._change(x, rng)
        chosen = np.flatnonzero(rng.random(len(x)) < self.probability)
        if not len(chosen):
            return x.clone()
        index = torch.from_numpy(chosen).to(x.device)
        return x.index_copy(0, index, self._change(x[index], rng))

    @abstractmethod
    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """All of these clips changed, in new memory; the same shape."""
