"""One augmentation step after the other, in training only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args, overload

import numpy as np
from torch import Tensor, nn

from soundsep.augment.layout import Mask, RandomCrop, Roll
from soundsep.augment.waveforms import Gain, Mixup, Noise, PitchShift, Polarity, TimeStretch
from soundsep.config import check_seed
from soundsep.devices import check_rng
from soundsep.errors import ConfigError

__all__ = ["Augment", "FeatureStep", "Step", "WaveformStep"]

WaveformStep = PitchShift | TimeStretch | Noise | Gain | Polarity | Roll | RandomCrop | Mixup
FeatureStep = Roll | RandomCrop | Mask
Step = WaveformStep | FeatureStep


class Augment(nn.Module):
    """Steps of augmentation, one after the other; in ``eval()`` it returns its input.

    Each call draws new random numbers, and two modules with the same steps and seed draw the same
    ones in the same order. Copies of a module in several worker processes would therefore all
    repeat each other: give each its own seed, or each call its own generator.

    Args:
        steps: Configs of the steps, in order.
        seed: Seed of the module's own generator.

    Attributes:
        steps: Configs of the steps, as a tuple.

    Raises:
        ConfigError: an element of ``steps`` is not a step, or ``seed`` is not a seed.

    Examples:
        >>> import torch
        >>> augment = Augment([PitchShift(max_semitones=2.0), Noise(snr_db=(10.0, 30.0))], seed=1)
        >>> waveform = torch.randn(4, 16_000)
        >>> augment(waveform).shape
        torch.Size([4, 16000])
        >>> augment.eval()(waveform) is waveform
        True
    """

    def __init__(self, steps: Sequence[Step], seed: int = 0) -> None:
        super().__init__()
        check_seed(seed)
        self.steps = tuple(steps)
        for step in self.steps:
            if not isinstance(step, Step):
                names = ", ".join(option.__name__ for option in get_args(Step))
                raise ConfigError(f"no augmentation step: {step!r}; there are {names}")
        self._rng = np.random.default_rng(seed)

    @overload
    def forward(
        self, x: Tensor, targets: None = None, *, rng: np.random.Generator | None = None
    ) -> Tensor: ...

    @overload
    def forward(
        self, x: Tensor, targets: Tensor, *, rng: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]: ...

    def forward(
        self,
        x: Tensor,
        targets: Tensor | None = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            x: Batch of clips.
            targets: Class probabilities of each clip, which `Mixup` needs.
            rng: Generator to draw from instead of the module's own.

        Shape:
            x: (batch, time) or (batch, n_bands, frames), as the steps take it. targets:
            (batch, n_classes). Returns x, or (x, targets) if targets were given.

        Raises:
            ConfigError: `Mixup` is among the steps and there are no targets, or ``rng`` is no
                generator.
            ShapeError: a step does not take this shape or type.
        """
        if self.training:
            rng = self._rng if rng is None else rng
            check_rng(rng)
            for step in self.steps:
                if not isinstance(step, Mixup):
                    x = step.apply(x, rng)
                elif targets is None:
                    raise ConfigError("Mixup changes the targets too: pass them beside the clips")
                else:
                    x, targets = step.apply(x, targets, rng)
        return x if targets is None else (x, targets)

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        @overload
        def __call__(
            self, x: Tensor, targets: None = None, *, rng: np.random.Generator | None = None
        ) -> Tensor: ...

        @overload
        def __call__(
            self, x: Tensor, targets: Tensor, *, rng: np.random.Generator | None = None
        ) -> tuple[Tensor, Tensor]: ...

        def __call__(
            self,
            x: Tensor,
            targets: Tensor | None = None,
            *,
            rng: np.random.Generator | None = None,
        ) -> Tensor | tuple[Tensor, Tensor]:
            """As `forward`."""
            ...

    def extra_repr(self) -> str:
        """The steps, one per line."""
        return "\n".join(map(repr, self.steps))
