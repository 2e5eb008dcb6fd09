"""Start and end of the sound in formats that libsndfile reads too far, or not to the end.

In many formats libsndfile goes by the size of the file, and takes what follows the sound for sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from soundsep.audio.extents import MAX_CHUNKS, Extent, extent, is_left_open
from soundsep.audio.file import AudioFile, UnreadableError
from soundsep.audio.old_headers import OLD_FINDERS

__all__ = ["chunks", "settle"]

# Bytes that chunks after the sound may take: if its length may have been left open, and otherwise.
MAX_TRAILER = 2**20, 2**32 - 2**20
EXTENSIBLE = b"\xfe\xff"  # the kind of samples follows later
MIN_SURE, N_SURE = 12, 16  # bytes of a header that do not occur in sound by chance


def settle(file: AudioFile) -> float:
    """Narrow and patch a file so that libsndfile reads it correctly.

    Args:
        file: Open file.

    Returns:
        Share of the sound promised by the header that the file holds, 0 to 1.

    Raises:
        UnreadableError: the sound lies in several pieces, or there is none.
        AudioError: the file cannot be read.
    """
    head = file.peek(0, max(map(len, FINDERS)))
    for start, find in FINDERS.items():
        if head.startswith(start) and (found := find(file)):
            first, end = found
            if end is None or first >= file.size:
                _leave_out_repeated(file, first)
                return 1.0
            if end <= first:
                raise UnreadableError("by its header it holds no samples")
            if end > file.size:
                return (file.size - first) / (end - first)
            file.narrow(0, end)
            return 1.0
    return 1.0


def _leave_out_repeated(file: AudioFile, n_header: int) -> None:
    """Leave out all but one of the headers that libsndfile writes to a pipe, around the sound."""
    start = file.peek(0, min(n_header, N_SURE))
    if len(start) < MIN_SURE:
        return
    while file.peek(n_header, len(start)) == start:
        file.narrow(n_header)
    if file.size >= 2 * n_header and file.peek(file.size - n_header, len(start)) == start:
        file.narrow(0, file.size - n_header)


def _riff(file: AudioFile) -> Extent | None:
    """Take MPEG audio out of its WAV, and correct an impossible length."""
    extensible = mpeg = False
    n_64 = None
    for name, at, n_bytes in chunks(file, 12, "little"):
        if name == b"fmt ":
            head = file.peek(at, 26)
            extensible = head[:2] == EXTENSIBLE
            tag = head[24:26] if extensible else head[:2]
            mpeg = tag in (b"\x55\0", b"\x50\0")
        elif name == b"ds64":
            n_64 = int.from_bytes(file.peek(at + 8, 8), "little")
            at_64 = at + 8
        elif name == b"data":
            rest = file.size - at
            if n_64 is not None and n_bytes in (0, 2**32 - 1):  # 0: a recorder without power
                if is_left_open(n_64):
                    file.patch(at_64, rest.to_bytes(8, "little"))
                n_bytes = n_64
            elif n_64 is not None and is_left_open(n_64):  # libsndfile goes by it even so
                file.patch(at_64, n_bytes.to_bytes(8, "little"))
                n_64 = n_bytes
            elif rest > n_bytes and _is_endless(n_bytes, rest, file):
                # libsndfile goes by the size of the file if it finds these two lengths
                file.patch(4, (8).to_bytes(4, "little"))
                file.patch(at - 4, bytes(4))
                n_bytes = 0
            if not mpeg:
                # Of an RF64 that was cut libsndfile tells only by the length of the whole file.
                is_cut = n_64 == n_bytes > rest and not is_left_open(n_bytes)
                return (at, at + n_bytes) if is_cut else None
            open_ended = is_left_open(n_bytes)
            file.narrow(at, None if open_ended else at + n_bytes)
            return 0, None if open_ended else n_bytes
        if n_64 is not None and n_bytes % 2 and n_bytes < 2**32 - 1:
            # In RF64, libsndfile does not skip the byte that follows an odd length.
            file.patch(at - 4, (n_bytes + 1).to_bytes(4, "little"))
    return None


def _bw64(file: AudioFile) -> Extent | None:
    """An RF64 by another name (ITU-R BS.2088), which libsndfile does not know."""
    file.patch(0, b"RF64")
    return _riff(file)


def _is_endless(n_bytes: int, rest: int, file: AudioFile) -> bool:
    """Whether the sound of a WAV reaches the end of the file, whatever its header says."""
    if n_bytes == 0:
        return abs(int.from_bytes(file.peek(4, 4), "little") + 8 - file.size) > 1
    if rest - n_bytes > MAX_TRAILER[1]:
        return True  # the count wrapped around
    return is_left_open(n_bytes) and rest - n_bytes > MAX_TRAILER[0]


def _caf(file: AudioFile) -> Extent | None:
    """Replace a length of -1 by that of the rest of the file."""
    at = 8
    for _ in range(MAX_CHUNKS):
        head = file.peek(at, 12)
        if len(head) < 12:
            return None
        n_bytes = int.from_bytes(head[4:], "big", signed=True)
        if head.startswith(b"data"):
            if n_bytes == -1:
                file.patch(at + 4, (file.size - at - 12).to_bytes(8, "big"))
            return None
        if n_bytes < 0:
            return None
        at += 12 + n_bytes
    return None


def _w64(file: AudioFile) -> Extent | None:
    at = 40
    for _ in range(MAX_CHUNKS):
        head = file.peek(at, 24)
        n_bytes = int.from_bytes(head[16:], "little")
        if head.startswith(b"data"):
            return at + 24, None if is_left_open(max(0, n_bytes - 24)) else at + n_bytes
        if n_bytes < 24:
            return None
        if head.startswith(b"fmt ") and file.peek(at + 24, 2) == EXTENSIBLE:
            file.patch(at + 24, file.peek(at + 48, 2))  # libsndfile takes all such for integers
        at += -(-n_bytes // 8) * 8
    return None


def _iff(file: AudioFile) -> Extent | None:
    old = file.peek(8, 4) in (b"8SVX", b"16SV")
    for name, at, n_bytes in chunks(file, 12, "big"):
        if name == b"SSND":
            if is_left_open(n_bytes) and file.size - at - n_bytes > MAX_TRAILER[0]:
                file.patch(at - 4, bytes(4))
            return None
        if name == b"BODY" and old:
            return extent(at, n_bytes)
    return None


def chunks(
    file: AudioFile, at: int, order: Literal["little", "big"]
) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of the chunks of a RIFF or IFF file.

    Args:
        file: Open file.
        at: First byte of the first chunk.
        order: Byte order of lengths.

    Raises:
        AudioError: the file cannot be read.
    """
    for _ in range(MAX_CHUNKS):
        head = file.peek(at, 8)
        if len(head) < 8:
            return
        n_bytes = int.from_bytes(head[4:], order)
        yield head[:4], at + 8, n_bytes
        at += 8 + n_bytes + n_bytes % 2


FINDERS: dict[bytes, Callable[[AudioFile], Extent | None]] = {
    b"RIFF": _riff,
    b"RF64": _riff,
    b"BW64": _bw64,
    b"caff": _caf,
    b"riff\x2e\x91\xcf\x11": _w64,
    b"FORM": _iff,
    **OLD_FINDERS,
}
