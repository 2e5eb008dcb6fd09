"""WAV files of 32-bit floats, written as the sound arrives.

Samples above full scale stay what they are, and a file may grow beyond the 4 GiB of plain WAV, to
RF64. libsndfile could write both, but would have to be told beforehand which, and does not say why
a write has failed.

References:
    EBU Tech 3306 (2009), "MBWF / RF64: an extended file format for audio", section 3.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from torch import Tensor

__all__ = ["FloatWavWriter"]

MAX_SIZE = 2**32 - 1  # largest number that a plain header holds
IEEE_FLOAT = 3


class FloatWavWriter:
    """Writes samples behind a header that is completed by `finish`.

    Args:
        stream: Empty, open for writing, seekable. It is not closed here.
        sample_rate: Rate of the samples, in Hz.
        n_channels: Number of channels.
    """

    def __init__(self, stream: BinaryIO, *, sample_rate: int, n_channels: int) -> None:
        self._stream = stream
        self._sample_rate = sample_rate
        self._frame_bytes = 4 * n_channels
        self._n_frames = 0
        stream.write(self._header())

    def write(self, samples: Tensor) -> None:
        """Append samples, (channels, time)."""
        self._stream.write(samples.t().contiguous().numpy().astype("<f4", copy=False).data)
        self._n_frames += samples.shape[1]

    def finish(self) -> None:
        """Complete the header."""
        self._stream.seek(0)
        self._stream.write(self._header())

    def _header(self) -> bytes:
        n_bytes = self._n_frames * self._frame_bytes
        fmt = struct.pack(
            "<HHIIHHH",
            IEEE_FLOAT,
            self._frame_bytes // 4,
            self._sample_rate,
            self._sample_rate * self._frame_bytes,
            self._frame_bytes,
            32,
            0,
        )
        # The first chunk keeps the place of the long sizes where the short ones are enough.
        size = 4 + (8 + 28) + (8 + len(fmt)) + (8 + 4) + 8 + n_bytes
        if size <= MAX_SIZE:
            head = struct.pack("<4sI4s4sI28x", b"RIFF", size, b"WAVE", b"JUNK", 28)
        else:
            head = struct.pack("<4sI4s4sI", b"RF64", 2**32 - 1, b"WAVE", b"ds64", 28)
            head += struct.pack("<QQQI", size, n_bytes, self._n_frames, 0)
        return (
            head
            + struct.pack("<4sI", b"fmt ", len(fmt))
            + fmt
            + struct.pack("<4sII", b"fact", 4, min(self._n_frames, 2**32 - 1))
            + struct.pack("<4sI", b"data", n_bytes if size <= MAX_SIZE else 2**32 - 1)
        )
