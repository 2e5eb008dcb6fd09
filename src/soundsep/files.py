"""Files that are written whole or not at all, and JSON lines."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from soundsep.errors import ConfigError
from soundsep.names import local_path, path_text, printable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = [
    "STALE_SECONDS",
    "is_stream",
    "json_lines",
    "lock",
    "parse_json",
    "read_json_lines",
    "replacing",
    "saving",
    "sweep",
    "write_bytes",
    "write_json",
    "write_json_lines",
]

MAX_NAME_BYTES = 100  # of a file in the name of its temporary one; some disks allow 143 in all
FAR = 2**40  # a byte that no file of ours reaches: a lock on Windows forbids reading its bytes
N_TRIES = 10  # to create a file whose folder another run removes
STALE_SECONDS = 600.0  # a temporary file that was not written for so long has no living owner


@contextmanager
def replacing(*paths: Path, sync: bool = False) -> Iterator[list[Path]]:
    """Temporary files, one for each path, which replace those at the end of the block.

    They are empty, and lie in the folders of the final paths, which are created. A file that is
    replaced keeps its permissions. If the block fails, no temporary file and no new folder is left,
    and the final paths stay as they were. A pipe or a device, such as ``/dev/null``, is not
    replaced: at the end of the block it gets what the file holds.

    Args:
        paths: Final paths of the files.
        sync: Wait until the disk has the files; otherwise a power cut may leave empty ones.

    Raises:
        OSError: a folder cannot be created, or a file cannot be written or moved.
    """
    for path in paths:
        is_folder = not path.name or (_can_be(path) and path.is_dir())  # without: the current one
        if is_folder or not _can_be(path):
            number = errno.EISDIR if is_folder else errno.EINVAL
            raise OSError(number, os.strerror(number), str(path))
    temporary = [_beside(path) for path in paths]
    streams = [path for path in paths if is_stream(path)]
    aside = Path(tempfile.mkdtemp()) if streams else None  # nobody writes files beside devices
    if aside is not None:
        temporary = [
            aside / file.name if path in streams else file
            for file, path in zip(temporary, paths, strict=True)
        ]
    created: list[Path] = []  # of folders, the innermost first
    try:
        for path, file in zip(paths, temporary, strict=True):
            folders = (path.parent, *path.parent.parents)
            created[:0] = takewhile(lambda folder: not folder.exists(), folders)
            _create(file)
            with suppress(OSError):  # as below; meanwhile nobody else reads what is private
                file.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)
        yield temporary
        if sync:
            for file in temporary:
                with file.open("r+b") as stream:  # Windows syncs only what may be written
                    os.fsync(stream.fileno())
        for file, path in zip(temporary, paths, strict=True):
            if path in streams:
                with file.open("rb") as source, path.open("ab") as stream:
                    shutil.copyfileobj(source, stream)
            else:
                with suppress(OSError):  # there is none yet, or the disk has no permissions
                    shutil.copymode(path, file)
                os.replace(file, path)
        created.clear()
    except OSError as error:
        if error.errno is not None:  # other errors are not about a file
            named = {str(file): str(path) for file, path in zip(temporary, paths, strict=True)}
            if error.filename is None:  # as when the disk is full
                error.filename = str(paths[0])
            error.filename = named.get(str(error.filename), error.filename)
        raise
    finally:
        for file in temporary:
            with suppress(OSError):
                file.unlink()
        for folder in created:
            with suppress(OSError):  # it has another program's file
                folder.rmdir()
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def saving(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path for a file that the user named; ``~`` stands for the home folder.

    Args:
        path: Final path, which is written as `replacing` does.

    Raises:
        ConfigError: the file cannot be written.
        BrokenPipeError: it is a pipe whose reader has seen enough.
    """
    try:
        with replacing(local_path(path)) as (temporary,):
            yield temporary
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"cannot write {printable(path_text(path))}: {reason}") from error


def _can_be(path: Path) -> bool:
    """Whether a file system could have the path; Python raises errors of its own for others."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _create(path: Path) -> None:
    """An empty file, and its folders, which until then another run that fails may remove."""
    for n_left in reversed(range(N_TRIES)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            return
        except (FileExistsError, FileNotFoundError):
            if not n_left:
                raise


def _beside(path: Path) -> Path:
    """A new hidden name in the folder of a file; a long name is cut, for it may just be allowed."""
    name = path.name
    while len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = name[:-1]
    return path.with_name(f".{name}.{uuid.uuid4().hex}.tmp")


def is_stream(path: Path) -> bool:
    """Whether a path is a pipe, a terminal or a device, which is written to but never replaced.

    A path in ``/dev``, such as ``/dev/stdout``, may lead to a file but counts as a stream.
    """
    try:
        is_device = path.parts[:2] == ("/", "dev") and path.parts[:3] != ("/", "dev", "shm")
        return path.exists() and not path.is_dir() and (is_device or not path.is_file())
    except OSError:  # too long
        return False


def lock(file: int) -> bool:
    """Lock an open file until it is closed; ``False`` if another program holds the lock."""
    try:
        if sys.platform == "win32":
            os.lseek(file, FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # no locks here, as on some network disks
        return True
    return True


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed programs have left, if possible, and no others.

    Args:
        folder: Folder in which `replacing` was used.
    """
    with suppress(OSError):  # a folder that cannot be looked into
        for path in folder.glob(f".*.{'[0-9a-f]' * 32}.tmp"):
            with suppress(OSError):  # another user's file, or one that is gone by now
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file as `replacing` does.

    Args:
        path: File to write; an existing one is replaced.
        data: Contents of the file.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as (temporary,):
        temporary.write_bytes(data)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON, as `replacing` does.

    Args:
        path: File to write; an existing one is replaced.
        content: Plain JSON types.

    Raises:
        OSError: the file cannot be written.
    """
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One JSON object per line, in ASCII."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode("ascii")


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, as `replacing` does.

    Args:
        path: File to write; an existing one is replaced.
        rows: Plain JSON types.

    Raises:
        OSError: the file cannot be written.
    """
    write_bytes(path, json_lines(rows))


def parse_json(text: str | bytes) -> Any:
    """The value of JSON text from a file that anybody may have written.

    Args:
        text: JSON text.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json_lines(path: Path) -> list[Any]:
    """The JSON values of all lines that are not empty.

    Args:
        path: File to read.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is not JSON.
    """
    return [parse_json(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
