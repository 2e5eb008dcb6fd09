"""The official archives of data sets: fetched, verified, unpacked."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from soundsep.checkpoints.fetch import ATTEMPTS, BACKOFF_SECONDS, may_pass, receive, told
from soundsep.checkpoints.locate import is_offline
from soundsep.datasets.clip import FoldedClips
from soundsep.datasets.esc50 import ESC50
from soundsep.datasets.table import TableDataset
from soundsep.datasets.unpack import unpack
from soundsep.datasets.urbansound8k import UrbanSound8K
from soundsep.errors import ConfigError, DatasetError
from soundsep.files import lock, write_bytes
from soundsep.names import did_you_mean, local_path

__all__ = ["ARCHIVES", "Archive", "download"]


LOCK = ".lock"  # in the folder of a download
WORTH_A_TRY = 2**20  # bytes after which the count of attempts restarts


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """An official archive, and what must be in it.

    Attributes:
        kind: The data set that reads it.
        url: Address at which it is published.
        filename: Local name of the archive.
        size: Number of bytes.
        algorithm: Name of the hash that is published.
        digest: Hash of the whole archive, in hexadecimal digits.
        n_clips: Number of clips kept.
        max_files: Most files in the archive.
        max_bytes: Most bytes of these files.
        licence: Licence of the clips.
        only: Column of the table that is ``True`` for the clips to keep.
    """

    kind: type[TableDataset]
    url: str
    filename: str
    size: int
    algorithm: str
    digest: str
    n_clips: int
    max_files: int
    max_bytes: int
    licence: str
    only: str | None = None


def _esc50(*, n_clips: int, licence: str, only: str | None = None) -> Archive:
    """GitHub packs a commit on request; the same commit has given the same bytes so far."""
    commit = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"  # the last one
    return Archive(
        kind=ESC50,
        url=f"https://github.com/karolpiczak/ESC-50/archive/{commit}.zip",
        filename="ESC-50.zip",
        size=645_832_161,
        algorithm="sha256",
        digest="661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
        n_clips=n_clips,
        max_files=2_100,
        max_bytes=1_000_000_000,
        licence=licence,
        only=only,
    )


ARCHIVES = {
    "esc50": _esc50(n_clips=2000, licence="CC BY-NC 3.0: non-commercial use only"),
    "esc10": _esc50(n_clips=400, licence="CC BY 3.0", only="esc10"),
    "urbansound8k": Archive(
        kind=UrbanSound8K,
        url="https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz?download=1",
        filename="UrbanSound8K.tar.gz",
        size=6_023_741_708,
        # Its sha256 is not known here: the archive was never available to us, and Zenodo publishes
        # only an MD5. That finds a damaged download, but not a forged one.
        algorithm="md5",
        digest="9aa69802bbf37fb986f71ec1483a196e",
        n_clips=8732,
        max_files=9_000,
        max_bytes=8_000_000_000,
        licence="CC BY-NC 3.0: non-commercial use only",
    ),
}


def download(name: str, folder: str | Path, *, progress: bool = True) -> FoldedClips:
    """Download a data set from where its authors publish it.

    The archive is downloaded into ``FOLDER.partial``, where an interrupted download is resumed. It
    is unpacked there once its size and hash are right, and moved into place when every clip of its
    table is there. Without a network, put the archive there by hand.

    Args:
        name: ``"esc50"``, ``"urbansound8k"``, or ``"esc10"``, the clips of ESC-50 that may be used
            commercially, with its folds.
        folder: A new or empty folder. A data set already there is left as it is.
        progress: Show a bar on standard error while downloading.

    Returns:
        The data set.

    Raises:
        ConfigError: the name is unknown.
        DatasetError: the folder holds something else, another run downloads into it, the disk is
            too small, or the archive cannot be downloaded or is not the official one.
    """
    if name not in ARCHIVES:
        raise ConfigError(
            f"no data set to download is called {name!r}{did_you_mean(name, ARCHIVES)}: expected "
            f"one of {', '.join(ARCHIVES)}"
        )
    archive, folder = ARCHIVES[name], local_path(folder).absolute()
    work = folder.with_name(f"{folder.name}.partial")
    try:
        if not _is_there(archive, folder, name):
            work.mkdir(parents=True, exist_ok=True)
            with _alone(work, folder):
                if not _is_there(archive, folder, name):  # now that a run beside has ended
                    _bring(archive, folder, work, progress=progress)
            # Only now: after a failure, a run that has opened this lock would not see a new one.
            with suppress(OSError):  # whatever else lies there is not ours
                (work / LOCK).unlink()
                work.rmdir()
        return _checked(archive, folder)
    except OSError as error:
        raise DatasetError(f"cannot put {name} into {folder}: {error}") from error


def _bring(archive: Archive, folder: Path, work: Path, *, progress: bool) -> None:
    packed, unpacked = work / archive.filename, work / "unpacked"
    if unpacked.exists():
        shutil.rmtree(unpacked)
    _require_space(archive, work)
    if not packed.exists():
        _fetch(archive, packed, progress=progress)
    _verify(archive, packed)
    unpack(packed, unpacked, max_files=archive.max_files, max_bytes=archive.max_bytes)
    if archive.only is not None:
        _keep(unpacked, archive.kind, archive.only)
    _checked(archive, unpacked)
    if folder.exists():
        folder.rmdir()
    os.replace(unpacked, folder)
    for file in (packed, _partial(packed)):
        file.unlink(missing_ok=True)


@contextmanager
def _alone(work: Path, folder: Path) -> Iterator[None]:
    """Keep a second run out, which would write into the same archive.

    Raises:
        DatasetError: another run downloads into the folder.
    """
    file = os.open(work / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not lock(file):
            raise DatasetError(
                f"{folder} is being downloaded by another run; wait until it has ended"
            )
        yield
    finally:
        os.close(file)


def _is_there(archive: Archive, folder: Path, name: str) -> bool:
    """Whether the folder holds the data set already.

    Raises:
        DatasetError: it holds something else.
    """
    if not folder.exists() or _is_empty(folder):
        return False
    if not archive.kind.is_in(folder):
        raise DatasetError(f"{folder} is not empty; name a new folder for {name}")
    return True


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _require_space(archive: Archive, work: Path) -> None:
    present = sum(path.stat().st_size for path in work.iterdir() if path.is_file())
    needed = archive.size - present + archive.max_bytes
    if (free := shutil.disk_usage(work).free) < needed:
        raise DatasetError(
            f"{work} is on a disk with {free / 1e9:.1f} GB free; {archive.kind.name} needs up to "
            f"{needed / 1e9:.1f} GB while it is unpacked"
        )


def _partial(packed: Path) -> Path:
    return packed.with_name(f"{packed.name}.partial")


def _fetch(archive: Archive, packed: Path, *, progress: bool) -> None:
    """Download to ``packed``, resuming what an interrupted attempt left beside it.

    Raises:
        DatasetError: the archive cannot be downloaded.
    """
    by_hand = f"or put the archive there by hand, as {packed}, and run the same command again"
    if is_offline():
        raise DatasetError(
            f"SOUNDSEP_OFFLINE or HF_HUB_OFFLINE forbids fetching {archive.url}; unset it, "
            f"{by_hand}"
        )
    partial = _partial(packed)
    n_tries = n_before = 0
    while True:
        try:
            with partial.open("ab") as stream:
                if (n_before := stream.tell()) > archive.size:
                    n_before = stream.seek(0)  # truncating alone leaves the position
                    stream.truncate()
                if n_before != archive.size:
                    receive(archive.url, stream, size=archive.size, progress=progress, resume=True)
            os.replace(partial, packed)
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()
            came = partial.is_file() and partial.stat().st_size - n_before > WORTH_A_TRY
            n_tries = 1 if came else n_tries + 1
            if may_pass(error) and n_tries < ATTEMPTS:
                time.sleep(BACKOFF_SECONDS * 2 ** (n_tries - 1))
                continue
            raise DatasetError(
                f"cannot fetch {archive.url}: {told(error)}. Check the connection and run the same "
                f"command again, which resumes where this stopped, {by_hand}"
            ) from error
        return


def _verify(archive: Archive, packed: Path) -> None:
    """Check that it is the official archive.

    Raises:
        DatasetError: it is another file.
    """
    found = hashlib.new(archive.algorithm, usedforsecurity=False)
    with packed.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            found.update(chunk)
    size = packed.stat().st_size
    if (size, found.hexdigest()) != (archive.size, archive.digest):
        raise DatasetError(
            f"{packed} is not the official archive: expected {archive.size} bytes with "
            f"{archive.algorithm} {archive.digest}, found {size} with {found.hexdigest()}. Remove "
            "it, and run the same command again to download it again"
        )


def _keep(root: Path, kind: type[TableDataset], column: str) -> None:
    """Keep only the clips for which a column of the table is ``True``."""
    table = root / kind.table
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, reader.fieldnames or (), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        if row[column] == "True":
            writer.writerow(row)
        else:
            (root / kind.audio / row[kind.columns.filename]).unlink()
    write_bytes(table, text.getvalue().encode())


def _checked(archive: Archive, root: Path) -> FoldedClips:
    """The data set in a folder.

    Raises:
        DatasetError: clips are missing.
    """
    data = archive.kind(root)
    if len(data) != archive.n_clips:
        raise DatasetError(f"{root} holds {len(data)} clips, expected {archive.n_clips}")
    return data
