"""The open binary file that decoders read, in which libsndfile meets no surprises."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from soundsep.audio.opening import open_binary
from soundsep.errors import AudioError

__all__ = ["AudioFile", "UnreadableError"]

BLOCK = 2**16  # bytes
N_CLAIMED = 128  # bytes at the end that libmpg123 looks into for a tag


class UnreadableError(Exception):
    """A decoder cannot read a file, or not correctly; the message says why."""


class AudioFile:
    """A file as libsndfile sees it: part of its bytes, without a name that could mislead.

    libsndfile calls `readinto`, `seek` and `tell` from C, where an exception would be printed and
    forgotten, even a user's interrupt. It is kept in ``failure`` instead, and the file seems to end
    there.

    Args:
        audio: A path, the bytes of a file, or a binary file object. A seekable file is read in
            place; any other object is read into memory at once.

    Attributes:
        title: Name for messages.
        size: Length of the part shown, in bytes; at first that of the file when it was opened.
        failure: Exception raised while reading, if any.

    Raises:
        AudioError: the file does not exist, or is not a binary file.
    """

    def __init__(self, audio: Any) -> None:
        self.title, self._file, self._owned = open_binary(audio)
        self.failure: BaseException | None = None
        self._start = self._position = 0
        self._patches: dict[int, bytes] = {}
        self._lead = b""
        self._claimed: int | None = None
        try:
            self._file.seek(0, os.SEEK_END)
            self.size = self._file.tell()
            self._file.seek(0)
        except (OSError, ValueError) as error:
            self.close()
            raise AudioError(f"{self.title} cannot be read: {error}") from error

    def narrow(self, start: int, end: int | None = None) -> None:
        """Show only part of the bytes shown so far.

        Args:
            start: First byte of the part.
            end: Byte after the part; by default the end of the file.
        """
        end = self.size if end is None else min(end, self.size)
        self._start += min(start, end)
        self.size = max(0, end - start)
        self._patches = {at - start: data for at, data in self._patches.items() if at >= start}
        self.seek(0)

    def patch(self, offset: int, data: bytes) -> None:
        """Show other bytes at a place; the file itself stays as it is.

        Args:
            offset: First byte to replace.
            data: Bytes to show instead.
        """
        self._patches[offset] = data

    def lead(self, data: bytes) -> None:
        """Show some bytes before all others; call `narrow` and `patch` before this, not after.

        Args:
            data: Bytes to show first.
        """
        self._patches = {at + len(data): patch for at, patch in self._patches.items()}
        self._claimed = None if self._claimed is None else self._claimed + len(data)
        self._lead, self.size = data, self.size + len(data)

    def claim(self, size: int) -> None:
        """Pretend another size to a decoder that seeks the end, with `N_CLAIMED` zeros there.

        Reading forward still reaches the true end.

        Args:
            size: Pretended size, in bytes.
        """
        self._claimed = size

    def peek(self, offset: int, n_bytes: int) -> bytes:
        """Some of the bytes, fewer at the end; the position is the start afterwards.

        Args:
            offset: First byte to return.
            n_bytes: Number of bytes.

        Raises:
            AudioError: the file cannot be read.
        """
        buffer = bytearray(max(0, min(n_bytes, self.size - offset)))
        self.seek(offset)
        n_read = self.readinto(buffer)
        self.seek(0)
        self.check()
        return bytes(buffer[:n_read])

    def check(self) -> None:
        """Raise the exception in ``failure``, if there is one.

        Raises:
            AudioError: the file cannot be read.
        """
        if isinstance(self.failure, Exception):
            raise AudioError(f"{self.title} cannot be read: {self.failure}") from self.failure
        if self.failure is not None:  # the user's interrupt
            raise self.failure

    def contains(self, wanted: bytes, offset: int) -> bool:
        """Whether some bytes occur from ``offset`` on; the position is the start afterwards.

        Args:
            wanted: Bytes to look for.
            offset: Byte to start at.

        Raises:
            AudioError: the file cannot be read.
        """
        while offset < self.size:
            if wanted in self.peek(offset, BLOCK + len(wanted)):
                return True
            offset += BLOCK
        return False

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return the number of bytes, 0 at the end or after a failure."""
        view = memoryview(buffer).cast("B")
        if self._claimed is not None and self._position >= self._claimed - N_CLAIMED:
            view[:] = bytes(len(view))
            return len(view)
        n_read, n_wanted = 0, min(len(view), self.size - self._position)
        if self._position < len(self._lead):
            ahead = self._lead[self._position : self._position + len(view)]
            n_read = len(ahead)
            view[:n_read] = ahead
        try:
            while n_read < n_wanted:
                part = view[n_read:n_wanted]
                if not (n_now := int(self._file.readinto(part) or 0)):  # type: ignore[attr-defined]
                    break
                n_read += n_now
        except BaseException as error:
            self.failure = error
            return 0
        for at, data in self._patches.items():
            first = max(at, self._position)
            last = min(at + len(data), self._position + n_read)
            if first < last:
                view[first - self._position : last - self._position] = data[first - at : last - at]
        self._position += n_read
        return n_read

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        """Move the position; before the start, where a damaged header may point, nothing happens.

        Args:
            offset: Bytes from the place that ``whence`` names.
            whence: `os.SEEK_SET`, `os.SEEK_CUR` or `os.SEEK_END`.
        """
        end = self.size if self._claimed is None else self._claimed
        target = offset + (0, self._position, end)[whence]
        with suppress(OSError, ValueError, OverflowError):
            if target >= 0:
                self._file.seek(self._start + max(0, target - len(self._lead)))
                self._position = target

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def close(self) -> None:
        """Close the file; a file object passed in stays open."""
        if self._owned:
            self._file.close()
