"""A file that only one run at a time appends to."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from soundsep.cli.output import is_regular, writing
from soundsep.errors import ConfigError
from soundsep.files import lock, replacing

__all__ = ["ClaimedFile", "replaced"]


class ClaimedFile:
    """An open file that is appended to in whole writes and by one run at a time.

    A lock makes a second run fail at once. Where there are no locks, as on some network disks, a
    write that finds the file changed by another program raises and adds nothing.

    Args:
        path: The file; created if it does not exist.
        may_exist: Append to an existing file.
        shared: Let other runs append too.

    Attributes:
        size: Number of bytes; 0 for a pipe or a device.

    Raises:
        ConfigError: the file exists and must not, another run writes it, or it cannot be written.
    """

    def __init__(self, path: Path, *, may_exist: bool, shared: bool = False) -> None:
        self.path, self._is_ours, self._is_open = path, False, False
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        is_new = not os.path.lexists(path)
        if not may_exist and (is_new or is_regular(path)):
            flags |= os.O_EXCL
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, flags, 0o666)
            self._is_open = True
        except ConfigError as error:
            # The file appeared since the check, unless a file stands where its folder should be.
            if isinstance(error.__cause__, FileExistsError) and os.path.lexists(path):
                raise self._taken() from error
            raise
        try:
            self._is_regular = stat.S_ISREG(os.fstat(self._file).st_mode)
            self._is_alone = self._is_regular and not shared
            if self._is_alone and not lock(self._file):
                raise self._taken()
            self.size = os.fstat(self._file).st_size if self._is_regular else 0
            self._is_ours = is_new and self._is_alone
        except BaseException:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Add bytes: all of them, or none where the disk is full.

        Raises:
            ConfigError: the disk is full or missing, or another program has changed the file.
        """
        if self._is_alone and os.fstat(self._file).st_size != self.size:
            raise ConfigError(
                f"{self.path} was changed by another program while it was written; nothing more "
                "was added to it. Let only one run write to a file at a time"
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

    def keep(self) -> None:
        """Leave the file when it is closed, even if it is empty."""
        self._is_ours = False

    def close(self) -> None:
        """Release the file, once; an empty one that was created here is removed, unless kept."""
        if not self._is_open:
            return
        self._is_open = False
        # As it lies on the disk: an interrupt may have come between a write and the count of it.
        is_left = self._is_ours and not os.fstat(self._file).st_size
        if sys.platform == "win32":  # removes no open file, of another run neither
            os.close(self._file)
        if is_left:
            with suppress(OSError):
                self.path.unlink()
        if sys.platform != "win32":  # until then the lock keeps other runs out
            os.close(self._file)

    def _taken(self) -> ConfigError:
        return ConfigError(f"{self.path} is being written by another run; wait until it has ended")


def replaced(contents: Mapping[ClaimedFile, bytes]) -> list[ClaimedFile]:
    """Files with other contents, claimed again; the given ones are closed.

    Nothing is replaced before all are written, so that a full disk changes none. A link stays one.

    Raises:
        ConfigError: the disk is full or missing, or another run claims a file.
    """
    if sys.platform == "win32":  # replaces no open file
        for file in contents:
            file.close()
    real = [Path(os.path.realpath(file.path)) for file in contents]
    with writing(next(iter(contents)).path), replacing(*real) as temporary:
        for path, data in zip(temporary, contents.values(), strict=True):
            path.write_bytes(data)
    for file in contents:
        file.close()
    return [ClaimedFile(file.path, may_exist=True) for file in contents]
