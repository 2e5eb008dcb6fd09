"""What a recording is read from: an open binary file at which libsndfile cannot stumble."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from soundsep.errors import AudioError

__all__ = ["Source"]


class Source:
    """A file as libsndfile sees it: contents without a ``name``, whose ending could mislead.

    libsndfile calls these methods from C, where an exception would be printed and forgotten, even
    the interrupt by a user. It is kept in ``failure`` instead, and the file seems to end there.

    Args:
        audio: A path, the bytes of a file, or a binary file object. A file that can be sought is
            read where it lies; of any other object all is read at once.

    Attributes:
        title: What messages call it.
        failure: What went wrong while reading.

    Raises:
        AudioError: there is no such file, or it is no binary file.
    """

    def __init__(self, audio: Any) -> None:
        self.title, self._file, self._owned = _open(audio)
        self.failure: BaseException | None = None

    def readinto(self, buffer: Any) -> int:
        """Fill some memory; the number of bytes, 0 at the end."""
        try:
            return int(self._file.readinto(buffer) or 0)  # type: ignore[attr-defined]
        except BaseException as error:
            self.failure = error
            return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        """Go somewhere; a damaged header may name a place before the start, and nothing moves."""
        with suppress(OSError, ValueError):
            self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it stands, in bytes."""
        return self._file.tell()

    def close(self) -> None:
        """Let go of the file; one that was given open stays open."""
        if self._owned:
            self._file.close()


def _open(audio: Any) -> tuple[str, BinaryIO, bool]:
    """A name for messages, an open binary file, and whether it is ours to close."""
    if isinstance(audio, (str, os.PathLike)):
        return _open_path(audio)
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return "the bytes given", io.BytesIO(bytes(audio)), True
    if hasattr(audio, "read"):
        return _open_object(audio)
    raise AudioError(
        "expected a path, bytes, a binary file object, a NumPy array or a tensor, got "
        f"{type(audio).__name__}"
    )


def _open_path(audio: str | os.PathLike[str]) -> tuple[str, BinaryIO, bool]:
    path = Path(audio)
    try:
        path = path.expanduser()
        if path.is_file():
            return str(path), path.open("rb"), True
        if path.is_dir():
            found = "is a folder, not a file; expected the path of a recording"
        elif path.exists():
            found = (
                "is a pipe or a device, not a file; save what it gives as a file, or in Python "
                "open it and pass the file object"
            )
        else:
            found = "does not exist; expected the path of a recording"
    except (OSError, RuntimeError) as error:  # no permission, too long; no such user's home
        raise AudioError(f"{path} cannot be opened: {error}") from error
    if "://" in str(audio):
        raise AudioError(f"{audio} is an address, not a path; download it first")
    raise AudioError(f"{path} {found}")


def _open_object(audio: Any) -> tuple[str, BinaryIO, bool]:
    name = getattr(audio, "name", None)
    if not isinstance(name, str):  # of a temporary file it is a number
        name = "the file object"
    if isinstance(audio, io.TextIOBase):
        raise AudioError(f"{name} gives text; open it in binary mode ('rb')")
    try:
        in_place = isinstance(audio, (io.BufferedIOBase, io.RawIOBase)) and audio.seekable()
        if in_place and audio.tell() == 0:
            return name, audio, False
        data = audio.read()
    except Exception as error:  # whatever an object of somebody else's may raise
        raise AudioError(f"{name} cannot be read: {error}") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise AudioError(
            f"{name} gives {type(data).__name__} where bytes are expected; open it in binary mode "
            "('rb')"
        )
    if not data:
        raise AudioError(f"{name} has nothing left to be read; seek to its beginning first")
    return name, io.BytesIO(bytes(data)), True
