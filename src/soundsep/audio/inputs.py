"""Recordings in the forms of other libraries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from soundsep.audio.arrays import is_array
from soundsep.config import check_number
from soundsep.errors import AudioError, ConfigError
from soundsep.names import path_text, printable

__all__ = ["Recordings", "name_of", "path_of", "recordings_in", "unpack"]


def unpack(audio: Any, sample_rate: Any) -> tuple[Any, int | None]:
    """Unpack a recording into a path, bytes, a file or an array, and the rate of an array.

    Args:
        audio: Any of these, or a dictionary of a Hugging Face data set: ``array`` and
            ``sampling_rate``, or ``bytes`` or ``path`` if it was not decoded.
        sample_rate: Rate that the caller gave, in Hz; a dictionary states its own.

    Returns:
        The recording, and its rate in Hz if it is known.

    Raises:
        AudioError: a dictionary lacks these keys, or ``audio`` is a common mistake, such as a pair
            ``(samples, rate)``.
        ConfigError: the rate is not a number.
    """
    if sample_rate is not None:
        check_number("sample_rate", sample_rate)
    if isinstance(audio, Mapping):
        return _from_mapping(audio, sample_rate)
    if isinstance(audio, (tuple, list)):
        if len(audio) == 2 and is_array(audio[0]):
            raise AudioError(
                "expected one recording, got a pair, which looks like (samples, rate): pass "
                "samples and sample_rate=rate (and samples.T if soundfile.read gave several "
                "channels)"
            )
        raise AudioError(
            f"expected one recording, got a {type(audio).__name__} of {len(audio)}; a list of "
            "recordings holds paths, bytes, file objects or arrays, and samples come as an array"
        )
    if isinstance(audio, np.ndarray) and audio.dtype.kind in "UO":
        raise AudioError(
            f"expected samples, got an array of {audio.dtype}; if it holds paths, pass its "
            ".tolist()"
        )
    return audio, sample_rate


def _from_mapping(audio: Mapping[Any, Any], sample_rate: Any) -> tuple[Any, int | None]:
    if (array := audio.get("array")) is not None:
        if (rate := audio.get("sampling_rate")) is None:
            raise AudioError("the dictionary has an 'array', but no 'sampling_rate' in Hz with it")
        check_number("sampling_rate", rate)
        return (array if is_array(array) else np.asarray(array)), rate
    for key in ("bytes", "path"):
        if audio.get(key) is not None:
            return audio[key], sample_rate
    keys = ", ".join(map(repr, list(audio)[:5]))
    raise AudioError(
        "expected a dictionary with 'array' and 'sampling_rate', as data sets of Hugging Face "
        f"hold, got one with {keys or 'nothing in it'}; of a row pass its audio column"
    )


def name_of(audio: object) -> str:
    """Name of a recording for messages."""
    name = path_of(audio)
    return printable(name) if name else "the array" if is_array(audio) else "the recording"


def path_of(audio: object) -> str | None:
    """Path or name of a recording; ``None`` if it has none."""
    if isinstance(audio, Mapping):  # of a data set of Hugging Face
        audio = audio.get("path")
    if isinstance(audio, (str, os.PathLike)):
        with suppress(ConfigError):  # the message is for whoever opens it
            return path_text(audio)
    name = getattr(audio, "name", None)
    return name if isinstance(name, str) else None


class Recordings(NamedTuple):
    """The recordings of a call.

    Attributes:
        items: Each of them.
        are_many: Whether they were given as several, even if it is one or none.
        are_lazy: Whether they come one by one, from an iterator or a generator.
    """

    items: Iterable[Any]
    are_many: bool
    are_lazy: bool


def recordings_in(audio: Any) -> Recordings:
    """Tell one recording from several.

    Args:
        audio: One recording, or a list, column, iterator or generator of them.

    Raises:
        AudioError: it is a pair ``(samples, rate)`` or a table.
    """
    is_one = isinstance(audio, (str, bytes, bytearray, memoryview, Mapping)) or is_array(audio)
    if is_one or not isinstance(audio, Iterable) or hasattr(audio, "read"):
        return Recordings([audio], are_many=False, are_lazy=False)
    if isinstance(audio, (tuple, list)) and len(audio) == 2 and isinstance(audio[1], Real):
        unpack(audio, None)  # a pair (samples, rate) is refused with a hint
    if hasattr(audio, "columns"):  # it would give their names
        raise AudioError(
            f"expected recordings, got a {type(audio).__name__} of several columns; pass the one "
            "that holds the paths, such as table['path']"
        )
    is_listed = isinstance(audio, Sequence) or hasattr(audio, "to_list")
    return Recordings(audio, are_many=True, are_lazy=not is_listed)
