"""The types that a recording may have, and checks of its rate, channels and samples."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soundsep.config import check_number
from soundsep.errors import AudioError, ConfigError

__all__ = [
    "MAX_CHANNELS",
    "AudioInput",
    "BinaryFile",
    "Samples",
    "check_format",
    "check_samples",
    "check_target_rate",
]


class BinaryFile(Protocol):
    """A file object opened in binary mode: of `open`, an archive, an upload or a response."""

    def read(self) -> bytes:
        """What is left of it."""
        ...


AudioInput: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | NDArray[Any]
    | Tensor
    | Mapping[str, Any]
)
Samples: TypeAlias = NDArray[np.float32]  # (channels, time)

MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
MAX_CHANNELS = 64
MAX_PEAK = 100.0  # 32-bit float recorders exceed 1; integers cast to float exceed this


def check_target_rate(target_rate: float | None) -> int | None:
    """Refuse a rate that makes no sense, and return it as an int.

    Args:
        target_rate: Rate to resample to, in Hz, of any numeric type.

    Raises:
        ConfigError: the rate is not an integer from `MIN_RATE_HZ` to `MAX_RATE_HZ`.
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
    """Refuse a format that no recorder writes, and return its rate as an int.

    Args:
        name: Name of the recording, for messages.
        n_channels: Number of its channels.
        rate: Its rate in Hz, of any numeric type.

    Raises:
        AudioError: there are not 1 to `MAX_CHANNELS` channels, or the rate is not an integer from
            `MIN_RATE_HZ` to `MAX_RATE_HZ`.
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
    """Refuse samples that are not sound.

    Args:
        name: Name of the recording, for messages.
        samples: Samples, (channels, time), at least one.

    Raises:
        AudioError: a sample is NaN or infinite, or above `MAX_PEAK`, as integers cast to float are.
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
