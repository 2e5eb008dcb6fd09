"""Unpack an untrusted archive: no path outside the folder, no links, bounded size."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from soundsep.errors import DatasetError
from soundsep.names import printable

__all__ = ["unpack"]

CHUNK_BYTES = 1 << 20
# zipfile raises the last two for files that are encrypted or of a later version.
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
)
Member = tuple[str, IO[bytes]]


def unpack(archive: Path, folder: Path, *, max_files: int, max_bytes: int) -> None:
    """The files of a zip or tar.gz archive, without the one folder that all of them are in.

    Hidden files are left out.

    Args:
        archive: The archive; its suffix tells its kind.
        folder: A new folder for the files; after an error it may hold some of them.
        max_files: Most files to write.
        max_bytes: Most bytes to write.

    Raises:
        DatasetError: the archive is damaged, or holds something that must not be unpacked.
        OSError: a file cannot be written.
    """
    n_files, n_left = 0, max_bytes
    with _members(archive) as members:
        for name, stream in members:
            path = _place(archive, name)
            if path is None:
                continue
            n_files += 1
            if n_files > max_files:
                raise DatasetError(f"{archive} holds more than {max_files} files")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = target.open("xb")
            except FileExistsError as error:
                raise DatasetError(f"{archive} holds {printable(name)} twice") from error
            with file:
                while chunk := stream.read(CHUNK_BYTES):
                    n_left -= len(chunk)
                    if n_left < 0:
                        raise DatasetError(f"{archive} unpacks to more than {max_bytes} bytes")
                    file.write(chunk)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    """Name and contents of every file.

    Raises:
        DatasetError: the archive is damaged, or holds a link or a device.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as zipped:
                yield _of_zip(archive, zipped)
        else:
            with tarfile.open(archive, "r|gz") as tarred:
                yield _of_tar(archive, tarred)
    except DAMAGE as error:
        raise DatasetError(f"{archive} is damaged: {error}") from error


def _of_zip(archive: Path, zipped: zipfile.ZipFile) -> Iterator[Member]:
    for member in zipped.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where it was not made on a Unix
        if member.is_dir():
            continue
        if kind not in (0, stat.S_IFREG):
            raise _no_file(archive, member.filename)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DatasetError(
                f"{archive}: {printable(member.filename)} is compressed by method "
                f"{member.compress_type}; expected it stored or deflated"
            )
        with zipped.open(member) as stream:
            yield member.filename, stream


def _of_tar(archive: Path, tarred: tarfile.TarFile) -> Iterator[Member]:
    for member in tarred:
        if member.isdir():
            continue
        if not member.isreg():
            raise _no_file(archive, member.name)
        stream = tarred.extractfile(member)
        assert stream is not None, "a regular file has contents"
        yield member.name, stream


def _no_file(archive: Path, name: str) -> DatasetError:
    return DatasetError(f"{archive}: {printable(name)} is a link or a device; expected only files")


def _place(archive: Path, name: str) -> Path | None:
    """Where a file goes, below the folder; ``None`` for a hidden one.

    Raises:
        DatasetError: the name leads outside the folder.
    """
    parts = PurePosixPath(name).parts
    is_plain = name.isprintable() and not set(name) & set('\\:*?"<>|')
    if not is_plain or name.startswith("/") or ".." in parts or len(parts) < 2:
        raise DatasetError(
            f"{archive}: {printable(name)!r} leads out of the folder of the archive, or is no name"
        )
    inside = parts[1:]
    return None if any(part.startswith(".") for part in inside) else Path(*inside)
