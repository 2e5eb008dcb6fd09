"""Arrays on disk, kept from one run to the next."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundsep.digests import digest, file_digest
from soundsep.errors import AudioError
from soundsep.files import write_bytes

__all__ = ["ArrayCache", "audio_digest"]

N_DIGEST = 32  # bytes of sha256 behind the array


class ArrayCache:
    """One file per array, named after its key: ``.npy``, followed by the sha256 of its bytes.

    A cache must never cause an error: an array that is absent, damaged or cannot be written is
    treated as not cached. Several processes may share a folder.

    Args:
        folder: Folder of the files; ``None`` for no cache.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: str) -> NDArray[Any] | None:
        """The array (...) under a key, if it is there as it was written."""
        if self.folder is None:
            return None
        try:
            data = (self.folder / f"{key}.npy").read_bytes()
            if digest(data[:-N_DIGEST]) != data[-N_DIGEST:].hex():
                return None
            # Not np.load, which opens a file that begins like a zip archive as one.
            return np.lib.format.read_array(io.BytesIO(data[:-N_DIGEST]), allow_pickle=False)
        except (OSError, ValueError):
            return None

    def put(self, key: str, array: NDArray[Any]) -> None:
        """Keep an array (...) under a key; a reader never sees half of it."""
        if self.folder is None:
            return
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=False)
        data = stream.getvalue()
        with suppress(OSError):
            write_bytes(self.folder / f"{key}.npy", data + bytes.fromhex(digest(data)))


def audio_digest(path: Path) -> str:
    """A hash of a recording's bytes, 64 digits.

    Raises:
        AudioError: the file cannot be read.
    """
    try:
        return file_digest(path)
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}") from error
