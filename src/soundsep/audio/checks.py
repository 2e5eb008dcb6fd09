"""What is taken for a recording, and what its rate, channels and samples must hold to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soundsep.config import check_number
from soundsep.errors import AudioError, ConfigError

__all__ = [
    "MAX_CHANNELS",
    "AudioInput",
    "Samples",
    "check_format",
    "check_samples",
    "check_target_rate",
]

AudioInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | BinaryIO | NDArray[Any] | Tensor | Mapping[str, Any]"
)
Samples: TypeAlias = NDArray[np.float32]  # (channels, time)

MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
MAX_CHANNELS = 64
MAX_PEAK = 100.0  # 32-bit float recorders exceed 1; integers cast to float exceed this


def check_target_rate(target_rate: float | None) -> int | None:
    """The rate as an int, whatever type of whole number it is; one that nobody can want is refused.

    Raises:
        ConfigError: it is outside 1 kHz to 768 kHz, or a fraction.
    """
    if target_rate is None:
        return None
    if not _is_rate(check_number("target_rate", target_rate)):
        raise ConfigError(
            f"target_rate must be an integer from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, got "
            f"{target_rate}"
        )
    return int(target_rate)


def check_format(name: str, n_channels: int, rate: float) -> int:
    """The rate as an int, whatever type of whole number it is; what no recorder writes is refused.

    Raises:
        AudioError: too many channels, none, or a rate out of range.
        ConfigError: the rate is not a number.
    """
    if not _is_rate(check_number("sample_rate", rate)):
        raise AudioError(
            f"{name} has a sample rate of {rate} Hz; expected an integer from {MIN_RATE_HZ} to "
            f"{MAX_RATE_HZ}: check its header, or resample it"
        )
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise AudioError(
            f"{name} has {n_channels} channels; expected 1 to {MAX_CHANNELS}: check its header or "
            "its layout (channels, time), or pick channels"
        )
    return int(rate)


def _is_rate(rate: float) -> bool:
    return MIN_RATE_HZ <= rate <= MAX_RATE_HZ and rate == int(rate)


def check_samples(name: str, samples: Samples) -> None:
    """Refuse what is not sound.

    Raises:
        AudioError: there is NaN, infinity, or a level that only integers cast to float have.
    """
    # The largest magnitude is NaN or Inf exactly if any sample is.
    peak = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(peak):
        raise AudioError(f"{name} holds NaN or infinite samples; repair or remove them")
    if peak > MAX_PEAK:
        raise AudioError(
            f"{name} has a peak of {peak:.6g}; expected samples from -1 to 1, at most "
            f"{MAX_PEAK:g}. They look like integers that were cast to float without being "
            "scaled: if they were of 16 bits, divide by 32768 (of 24 bits by 8388608, of 32 "
            "bits by 2147483648)"
        )
