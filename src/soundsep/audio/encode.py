"""Samples as the bytes of a file, encoded by libsndfile."""

from __future__ import annotations

import io
import os
from pathlib import Path

import soundfile
from torch import Tensor

from soundsep.interrupts import interrupts_held

__all__ = ["Written", "file_bytes"]


class Written:
    """A new file for libsndfile to write to, which knows why a write has failed.

    libsndfile says "System error" when a disk is full, takes an encoder's last bytes for written
    whatever becomes of them, and drops what is raised in Python. So the exception is kept here.

    Args:
        path: File to write.

    Raises:
        OSError: the file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)  # a buffer would fail only after the last check
        self._failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        """Write bytes; 0 of them after a failure."""
        n_written = 0
        try:
            while self._failure is None and n_written < len(data):
                n_written += self._file.write(data[n_written:])
        except BaseException as error:
            self._failure = error
        return n_written if self._failure is None else 0

    def readinto(self, buffer: bytearray) -> int:
        """Read bytes that were written before."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position, in bytes."""
        return self._file.tell()

    def check(self) -> None:
        """Raise what a write has raised: the reason of a full disk, or the user's interrupt."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: a network disk is full.
        """
        self._file.close()


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
