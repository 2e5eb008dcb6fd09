"""Steps that change the sound of a waveform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from soundsep.augment.base import ClipStep, check_input
from soundsep.augment.functions import add_noise, mixup, random_gain, ring_slice
from soundsep.augment.vocoder import shift_pitch, stretch_time
from soundsep.config import Config, check_range, check_span
from soundsep.errors import ConfigError, ShapeError

__all__ = ["Gain", "Mixup", "Noise", "PitchShift", "Polarity", "TimeStretch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PitchShift(ClipStep):
    """Each waveform higher or lower, at the same tempo; see `shift_pitch`.

    Attributes:
        max_semitones: Largest shift, up or down, from 0 to 24; drawn uniformly.
        n_fft: Windows of the phase vocoder, in samples: 1024 suits 16 kHz, 2048 suits 44.1 kHz.
        probability: Chance that a clip is changed.
    """

    kind: ClassVar[str] = "pitch-shift"

    max_semitones: float = 2.0
    n_fft: int = 1024
    probability: float = 0.5

    def _check(self) -> None:
        """Check the ranges."""
        ClipStep._check(self)
        check_range(self, "max_semitones", least=0, most=24)
        _check_n_fft(self)

    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        semitones = rng.uniform(-self.max_semitones, self.max_semitones, size=len(x)).tolist()
        return torch.stack(
            [shift_pitch(c, s, n_fft=self.n_fft) for c, s in zip(x, semitones, strict=True)]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeStretch(ClipStep):
    """Each waveform faster or slower at the same pitch; see `stretch_time`.

    The length stays the same: a random part of a slowed clip is kept, a faster one is repeated from
    its start, as in `loudest_view`.

    Attributes:
        max_rate: Largest tempo, from 1 to 4; drawn log-uniformly from 1 / max_rate to max_rate.
        n_fft: Windows of the phase vocoder, in samples: 1024 suits 16 kHz, 2048 suits 44.1 kHz.
        probability: Chance that a clip is changed.
    """

    kind: ClassVar[str] = "time-stretch"

    max_rate: float = 1.2
    n_fft: int = 1024
    probability: float = 0.5

    def _check(self) -> None:
        """Check the ranges."""
        ClipStep._check(self)
        check_range(self, "max_rate", least=1, most=4)
        _check_n_fft(self)

    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        exponents, places = rng.uniform(-1, 1, size=len(x)), rng.random(len(x))
        clips = []
        for clip, exponent, place in zip(x, exponents, places, strict=True):
            stretched = stretch_time(clip, self.max_rate ** float(exponent), n_fft=self.n_fft)
            spare = max(0, len(stretched) - len(clip))
            clips.append(ring_slice(stretched, int(place * (spare + 1)), len(clip)))
        return torch.stack(clips)


def _check_n_fft(step: PitchShift | TimeStretch) -> None:
    check_range(step, "n_fft", least=16, most=2**16)
    if step.n_fft % 4:
        raise ConfigError(f"{type(step).__name__}.n_fft must be a multiple of 4, got {step.n_fft}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise(ClipStep):
    """White noise in each waveform, at a ratio drawn uniformly in dB; see `add_noise`.

    Attributes:
        snr_db: Lowest and highest ratio of the clip's power to that of the noise, in dB.
        probability: Chance that a clip is changed.
    """

    kind: ClassVar[str] = "noise"

    snr_db: tuple[float, float] = (10.0, 30.0)
    probability: float = 0.5

    def _check(self) -> None:
        """Check the ranges."""
        ClipStep._check(self)
        check_span(self, "snr_db", least=-100, most=100)

    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        return add_noise(x, snr_db=rng.uniform(*self.snr_db, size=len(x)), rng=rng)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain(ClipStep):
    """Each waveform louder or quieter, uniformly in dB; see `random_gain`.

    Attributes:
        max_db: Largest gain, up or down, from 0 to 100.
        probability: Chance that a clip is changed.
    """

    kind: ClassVar[str] = "gain"

    max_db: float = 6.0

    def _check(self) -> None:
        """Check the ranges."""
        ClipStep._check(self)
        check_range(self, "max_db", least=0, most=100)

    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        return random_gain(x, max_db=self.max_db, rng=rng)


@dataclass(frozen=True, kw_only=True, slots=True)
class Polarity(ClipStep):
    """Each waveform upside down: times -1.

    Attributes:
        probability: Chance that a clip is changed.
    """

    kind: ClassVar[str] = "polarity"

    probability: float = 0.5

    def _change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        return -x


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixup(Config):
    """Each waveform mixed with another one of the batch, its targets too; see `mixup`.

    Attributes:
        probability: Chance that a clip is mixed.
        alpha: The weights follow a Beta(alpha, alpha) distribution; 1 is uniform.
    """

    kind: ClassVar[str] = "mixup"

    probability: float = 0.5
    alpha: float = 1.0

    def _check(self) -> None:
        """Check the ranges."""
        check_range(self, "probability", least=0, most=1)
        check_range(self, "alpha", least=0.01, most=100)

    def apply(self, x: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        Args:
            x: Batch of waveforms.
            targets: Class probabilities of each.
            rng: Source of the random numbers.

        Shape:
            x: (batch, time). targets: (batch, n_classes). Returns the same two.

        Raises:
            ShapeError: not such tensors, empty, of different lengths, or not floating point.
        """
        check_input(self, x, (2,))
        if targets.ndim != 2 or len(targets) != len(x) or not targets.is_floating_point():
            raise ShapeError(
                f"Mixup takes targets ({len(x)}, n_classes) of floating-point numbers, got shape "
                f"{tuple(targets.shape)} of {targets.dtype}"
            )
        return mixup(x, targets, probability=self.probability, alpha=self.alpha, rng=rng)
