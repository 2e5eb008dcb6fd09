"""Samples that are already in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio.checks import AudioInput, Samples, check_samples
from soundsep.errors import AudioError, ConfigError, warn

__all__ = ["from_array", "from_block", "is_array", "rate_of_array", "warn_of_rate"]

FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31, "float32": 1.0, "float64": 1.0}


def is_array(audio: object) -> bool:
    """Whether a recording is given as an array or tensor, which has no rate of its own."""
    return isinstance(audio, (np.ndarray, Tensor))


def rate_of_array(sample_rate: int | None, target_rate: int | None) -> int:
    """The rate of an array; by default the target rate, with a warning.

    Args:
        sample_rate: Rate that the caller gave, in Hz.
        target_rate: Rate to resample to, in Hz.

    Warns:
        SoundsepWarning: ``sample_rate`` is ``None``.

    Raises:
        ConfigError: both are ``None``.
    """
    if sample_rate is not None:
        return sample_rate
    if target_rate is None:
        raise ConfigError("an array carries no sample rate: pass sample_rate= in Hz")
    warn_of_rate(target_rate)
    return target_rate


def warn_of_rate(rate: int) -> None:
    """Warn that an array without a rate is taken to have this one.

    Args:
        rate: Assumed rate, in Hz.

    Warns:
        SoundsepWarning: always.
    """
    warn(
        f"an array was given without sample_rate and is taken as {rate} Hz; pass sample_rate=, "
        "since another rate gives wrong results"
    )


def from_array(audio: AudioInput) -> Samples:
    """Copy an array to float32 and check it.

    Shape:
        audio: (time,) or (channels, time). Returns (channels, time).

    Raises:
        AudioError: the type, shape or values are not those of a recording, it is a tensor
            without samples in memory, such as a sparse one, or samples are masked.
    """
    array = _in_memory(audio)
    if array.ndim not in (1, 2):
        raise AudioError(f"expected an array (time,) or (channels, time), got shape {array.shape}")
    if array.size == 0:
        raise AudioError(f"the array holds no samples, its shape is {array.shape}")
    if array.ndim == 2 and array.shape[0] > array.shape[1]:
        raise AudioError(
            f"the array has shape {array.shape}, which would be {array.shape[0]} channels of "
            f"{array.shape[1]} samples; expected (channels, time): pass its transpose"
        )
    return _checked("the array", array)


def from_block(block: AudioInput) -> Samples:
    """Copy a block of a longer recording to float32 and check it.

    Unlike a recording, it may be empty, and have fewer samples than channels.

    Shape:
        block: (time,) or (channels, time). Returns (channels, time).

    Raises:
        AudioError: as `from_array`.
    """
    array = _in_memory(block)
    if array.ndim not in (1, 2):
        raise AudioError(f"expected a block (time,) or (channels, time), got {array.shape}")
    return _checked("the block", array)


def _in_memory(audio: AudioInput) -> NDArray[Any]:
    """An array of a type that recordings have, not copied."""
    if np.ma.is_masked(audio):  # NumPy would give what is behind the mask
        raise AudioError(
            "the array has masked samples; fill them (.filled(0.0)) or pass the parts between them"
        )
    if isinstance(audio, Tensor):
        dtype = str(audio.dtype).removeprefix("torch.")
    else:
        dtype = np.asarray(audio).dtype.name
    if dtype not in FULL_SCALE:
        raise AudioError(
            f"expected samples of int16, int32, float32 or float64, got {dtype}; convert them"
        )
    if not isinstance(audio, Tensor):
        return np.asarray(audio)
    try:
        # resolve_neg: the imaginary part of a conjugate is a view that NumPy would not negate
        array: NDArray[Any] = audio.detach().cpu().resolve_neg().numpy()
    except (TypeError, RuntimeError) as error:
        raise AudioError(f"expected a dense tensor of samples: {error}") from error
    return array


def _checked(name: str, array: NDArray[Any]) -> Samples:
    """A copy, (channels, time)."""
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes Inf, which is caught next
        samples = np.array(np.atleast_2d(array), dtype=np.float32, order="C")
    samples /= FULL_SCALE[array.dtype.name]
    if samples.size:
        check_samples(name, samples)
    return samples
