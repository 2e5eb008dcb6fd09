"""Samples as the bytes of a file, encoded by libsndfile."""

from __future__ import annotations

import io

import soundfile
from torch import Tensor

from soundsep.interrupts import interrupts_held

__all__ = ["file_bytes"]


def file_bytes(
    samples: Tensor,
    sample_rate: int,
    *,
    container: str,
    subtype: str,
    compression_level: float | None = None,
) -> bytes:
    """Encode a sound in memory; libsndfile does not say why a disk refuses a file.

    Args:
        samples: Sound of one channel, (time,), from -1 to 1.
        sample_rate: Rate of the samples, in Hz.
        container: Format of the file, in the words of libsndfile.
        subtype: Type of the samples, in the same words.
        compression_level: From 0 to 1, for formats that compress.
    """
    stream = io.BytesIO()
    with interrupts_held():  # each write is a call from libsndfile, which would drop an exception
        soundfile.write(
            stream,
            samples.numpy(),
            sample_rate,
            format=container,
            subtype=subtype,
            compression_level=compression_level,
        )
    return stream.getvalue()
