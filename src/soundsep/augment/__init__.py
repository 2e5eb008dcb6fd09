"""Augmentation for training: random, and reproducible from a seed.

Each step is a frozen config that can be written to JSON, with a method ``apply``; `Augment` is the
module that applies them in order in training, and none in ``eval()``. Steps take waveforms
(batch, time) or features (batch, n_bands, frames) and say which.

Random numbers come from a NumPy generator on the CPU, so that a seed means the same on every
device. Every clip draws its own, and except in `Mixup` its result does not depend on the other
clips of the batch. Nothing here changes its input.
"""

from __future__ import annotations

from soundsep.augment.compose import Augment, FeatureStep, Step, WaveformStep
from soundsep.augment.functions import add_noise, loudest_view, mask, mixup, random_gain
from soundsep.augment.layout import Mask, RandomCrop, Roll
from soundsep.augment.vocoder import shift_pitch, stretch_time
from soundsep.augment.waveforms import (
    Gain,
    Mixup,
    Noise,
    PitchShift,
    Polarity,
    TimeStretch,
)

__all__ = [
    "Augment",
    "FeatureStep",
    "Gain",
    "Mask",
    "Mixup",
    "Noise",
    "PitchShift",
    "Polarity",
    "RandomCrop",
    "Roll",
    "Step",
    "TimeStretch",
    "WaveformStep",
    "add_noise",
    "loudest_view",
    "mask",
    "mixup",
    "random_gain",
    "shift_pitch",
    "stretch_time",
]
