"""A file that one run adds to, and no other at the same time."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from soundsep.cli.output import is_regular, writing
from soundsep.errors import ConfigError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["ClaimedFile"]

FAR = 2**40  # a byte that no file of ours reaches, for locks of Windows forbid to read it


class ClaimedFile:
    """An open file whose writes are whole, and whose contents nobody else changes meanwhile.

    A lock lets a second run fail at once. Where there are no locks, as on some network disks, a
    write finds that the file is not as this run left it, and adds nothing.

    Args:
        path: The file, made where it does not exist.
        may_exist: Go on with one that does.
        shared: Other runs may add to it, too.

    Attributes:
        size: In bytes; 0 for a pipe or a device.

    Raises:
        ConfigError: it exists and may not, another run writes it, or it cannot be written.
    """

    def __init__(self, path: Path, *, may_exist: bool, shared: bool = False) -> None:
        self.path, self._is_ours = path, False
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        is_new = not os.path.lexists(path)
        if not may_exist and (is_new or is_regular(path)):
            flags |= os.O_EXCL
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, flags, 0o666)
        except ConfigError as error:
            # It exists since it was looked for, unless it is the folder's name that a file has.
            if isinstance(error.__cause__, FileExistsError) and os.path.lexists(path):
                raise self._taken() from error
            raise
        try:
            self._is_regular = stat.S_ISREG(os.fstat(self._file).st_mode)
            self._is_alone = self._is_regular and not shared
            if self._is_alone and not _lock(self._file):
                raise self._taken()
            self.size = os.fstat(self._file).st_size if self._is_regular else 0
            self._is_ours = is_new and self._is_alone
        except BaseException:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Add bytes: all of them, or none where the disk is full.

        Raises:
            ConfigError: the disk is full or gone, or another program has changed the file.
        """
        if self._is_alone and os.fstat(self._file).st_size != self.size:
            raise ConfigError(
                f"{self.path} was changed by another program while it was written; nothing more "
                "was added to it. Let one run write a file at a time"
            )
        with writing(self.path):
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError:
                if self._is_alone:
                    with suppress(OSError):
                        os.ftruncate(self._file, self.size)
                raise
        self.size += len(data)

    def cut(self, size: int) -> None:
        """Drop what follows the first ``size`` bytes."""
        if self._is_regular and size < self.size:
            with writing(self.path):
                os.ftruncate(self._file, size)
            self.size = size

    def close(self) -> None:
        """Let others have it; one that was made here and holds nothing is removed."""
        if self._is_ours and not self.size:
            with suppress(OSError):
                self.path.unlink()
        os.close(self._file)

    def _taken(self) -> ConfigError:
        return ConfigError(f"{self.path} is being written by another run; wait until it has ended")


def _lock(file: int) -> bool:
    """Take the file; ``False`` where another program has it."""
    try:
        if sys.platform == "win32":
            os.lseek(file, FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # there are no locks here; writes are checked all the same
        return True
    return True
