"""What a user passes as a recording: an open binary file, or an error that says what to pass."""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from tempfile import SpooledTemporaryFile, _TemporaryFileWrapper
from typing import Any, BinaryIO

from soundsep.errors import AudioError, ConfigError
from soundsep.names import local_path, path_text, printable, same_looking

__all__ = ["open_binary"]


def open_binary(audio: Any) -> tuple[str, BinaryIO, bool]:
    """Open a recording.

    Args:
        audio: A path, the bytes of a file, or a binary file object. A seekable file is read in
            place; any other object is read into memory at once.

    Returns:
        A name for messages, the open file, and whether we have to close it.

    Raises:
        AudioError: the file does not exist, or is not a binary file.
    """
    if isinstance(audio, (str, os.PathLike)):
        return _open_path(audio)
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return "the bytes given", io.BytesIO(bytes(audio)), True
    if hasattr(audio, "read"):
        return _open_object(audio)
    hint = ""
    if isinstance(audio, Real):
        hint = "; samples come as one array: numpy.asarray(samples)"
    elif isinstance(audio, Iterator):
        hint = "; Pipeline.stream takes sound that comes in blocks"
    elif hasattr(audio, "read_bytes"):  # a path inside an archive
        hint = "; pass what its open('rb') gives"
    elif isinstance(getattr(audio, "path", None), (str, os.PathLike)):  # a clip of a data set
        hint = "; pass its path"
    raise AudioError(
        "expected a path, bytes, a binary file object, a NumPy array or a tensor, got "
        f"{type(audio).__name__}{hint}"
    )


def _open_path(audio: str | os.PathLike[str]) -> tuple[str, BinaryIO, bool]:
    try:
        audio = path_text(audio)
    except ConfigError as error:
        raise AudioError(str(error)) from error
    if not audio:  # pathlib takes it as the current folder
        raise AudioError("the path is empty; expected the path of a recording")
    path, title = Path(audio), printable(audio)
    try:
        path = local_path(audio)
        if path.is_file():
            return printable(str(path)), path.open("rb"), True
        if path.is_dir():
            found = "is a folder, not a file; expected the path of a recording"
        elif path.exists():
            found = (
                "is a pipe or a device, not a file; save what it gives as a file, or in Python "
                "open it and pass the file object"
            )
        else:
            found = "does not exist; expected the path of a recording"
            if alike := same_looking(path):
                found += f"; its folder has {alike}"
            if audio == "-":
                found += "; standard input is not read: save it as a file"
    except (OSError, ConfigError) as error:  # no permission, too long; no such user's home
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise AudioError(f"{title} cannot be opened: {reason}") from error
    if "://" in audio:
        raise AudioError(f"{title} is an address, not a path; download it first")
    raise AudioError(f"{title} {found}")


def _open_object(audio: Any) -> tuple[str, BinaryIO, bool]:
    name = getattr(audio, "name", None)
    if not isinstance(name, str):  # of a temporary file it is a number
        name = "the file object"
    name = printable(name)
    if isinstance(audio, io.TextIOBase):
        raise AudioError(f"{name} gives text; open it in binary mode ('rb')")
    try:
        if _is_in_place(audio) and audio.tell() == 0:
            return name, audio, False
        data = audio.read()
    except Exception as error:  # an object of another library may raise anything
        raise AudioError(f"{name} cannot be read: {error}") from error
    if inspect.iscoroutine(data):
        data.close()  # it would be warned of
        raise AudioError(
            f"{name} is read with await: pass await upload.read(), the bytes, or the file behind "
            "it, such as upload.file"
        )
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise AudioError(
            f"{name} gives {type(data).__name__} where bytes are expected; open it in binary mode "
            "('rb')"
        )
    if not data:
        raise AudioError(
            f"{name} gives no bytes: it is empty, or was read before; seek to its beginning first"
        )
    return name, io.BytesIO(bytes(data)), True


def _is_in_place(audio: Any) -> bool:
    """Whether an object is a file of this machine in which one can seek."""
    if isinstance(audio, SpooledTemporaryFile):  # what servers put uploads into
        is_binary = isinstance(audio.read(0), bytes)
    else:
        file = audio.file if isinstance(audio, _TemporaryFileWrapper) else audio
        is_binary = isinstance(file, (io.BufferedIOBase, io.RawIOBase))
    try:
        return is_binary and bool(audio.seekable())
    except AttributeError:  # a member of a tar archive that is read as a stream cannot even tell
        return False
