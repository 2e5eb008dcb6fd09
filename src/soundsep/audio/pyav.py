"""PyAV, whose wheels contain FFmpeg: its import, and the samples of its frames."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundsep.audio.contents import Contents, convert_command
from soundsep.errors import AudioError

__all__ = ["import_pyav", "samples_of"]

# From this version on, PyAV frees the memory of unusual channel layouts twice (its change 2284).
BROKEN_FROM = (17, 1)
# By type of sample, packed or planar: NumPy's name, value of silence, full scale.
SAMPLES: dict[str, tuple[str, int, float]] = {
    "u8": ("u1", 128, 2.0**7),
    "s16": ("i2", 0, 2.0**15),
    "s32": ("i4", 0, 2.0**31),
    "s64": ("i8", 0, 2.0**63),
    "flt": ("f4", 0, 1.0),
    "dbl": ("f8", 0, 1.0),
}


def import_pyav(name: str, contents: Contents) -> Any:
    """Import the package of the extra "formats".

    Args:
        name: Name of the recording, for messages.
        contents: Kind of the recording, for messages.

    Raises:
        AudioError: PyAV is not installed, or its version can corrupt memory.
    """
    try:
        av = importlib.import_module("av")
    except ImportError as error:
        raise _missing(name, contents.what) from error
    if tuple(map(int, av.__version__.split(".")[:2])) >= BROKEN_FROM:
        broken = f"PyAV {av.__version__} is installed, which can corrupt memory"
        raise _missing(name, f"{contents.what}, and {broken}")
    return av


def samples_of(frame: Any, n_channels: int, plane: Any) -> NDArray[np.float32]:
    """Samples of one frame, from -1 to 1.

    PyAV's own conversion fails with more than eight channels.

    Args:
        frame: Audio frame of PyAV.
        n_channels: Number of its channels.
        plane: PyAV's class of the samples of one channel or, if packed, of all.

    Shape:
        Returns (frames, channels).
    """
    name = frame.format.name
    dtype, silence, full_scale = SAMPLES[name.removesuffix("p")]
    samples = np.empty((frame.samples, n_channels), np.float32)
    if frame.format.is_planar:
        for i in range(n_channels):
            samples[:, i] = np.frombuffer(plane(frame, i), dtype, frame.samples)
    else:
        samples.reshape(-1)[:] = np.frombuffer(plane(frame, 0), dtype, samples.size)
    if silence:
        samples -= np.float32(silence)
    if full_scale != 1:
        samples /= np.float32(full_scale)
    return samples


def _missing(name: str, what: str) -> AudioError:
    return AudioError(
        f'{name} is {what}; to read it, pip install "soundsep[formats]", or convert it: '
        f"{convert_command(name)}"
    )
