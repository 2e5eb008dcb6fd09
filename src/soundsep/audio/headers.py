"""Where the sound lies in files that libsndfile hears beyond its end, or not to it.

libsndfile goes by the size of the file in many formats, and takes what follows the sound for sound.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Literal

from soundsep.audio.file import AudioFile, UnreadableError

__all__ = ["chunks", "is_left_open", "settle"]


# What is written for a length that is not known, less a header and the rest of a block; pipes
# cannot go back to write it. A plain WAV may well have any other length up to 4 GiB.
LEFT_OPEN = (0x7F000000, 2**31, 2**32, 2**63, 2**64)
LEFT_OPEN_WITHIN = 2**13  # bytes
# Bytes of the chunks after the sound: where a length may be one that was left open, and anywhere.
MAX_TRAILER = 2**20, 2**32 - 2**20
MAX_CHUNKS = 2**12  # ahead of the sound
EXTENSIBLE = b"\xfe\xff"  # a kind of samples that is told later
MIN_SURE, N_SURE = 12, 16  # bytes of a header that are in no sound
SOX_LACKS = 8  # bytes by which sox gives the length of a VOC block too small
Extent = tuple[int, int | None]  # of the sound, in bytes; None where the header leaves it open


def is_left_open(n_bytes: int) -> bool:
    """Whether a length stands for one that is not known."""
    return n_bytes == 0 or any(-64 <= most - n_bytes <= LEFT_OPEN_WITHIN for most in LEFT_OPEN)


def settle(file: AudioFile) -> float:
    """Show libsndfile a file that it reads right.

    Returns:
        The share of the sound that is there of what the header promises.

    Raises:
        UnreadableError: the sound lies in several pieces, or there is none.
    """
    for start, find in FINDERS.items():
        if file.peek(0, len(start)) == start and (extent := find(file)):
            first, end = extent
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
    """Of the headers that libsndfile writes to a pipe, before and after the sound, leave one."""
    start = file.peek(0, min(n_header, N_SURE))
    if len(start) < MIN_SURE:
        return
    while file.peek(n_header, len(start)) == start:
        file.narrow(n_header)
    if file.size >= 2 * n_header and file.peek(file.size - n_header, len(start)) == start:
        file.narrow(0, file.size - n_header)


def _riff(file: AudioFile) -> Extent | None:
    """MPEG audio is taken out of its WAV, and a length that cannot be is mended."""
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
            if n_64 is not None and n_bytes == 2**32 - 1:
                if is_left_open(n_64):
                    file.patch(at_64, rest.to_bytes(8, "little"))
                n_bytes = n_64
            elif rest > n_bytes and _is_endless(n_bytes, rest, file):
                # libsndfile goes by the size of the file where it finds these two
                file.patch(4, (8).to_bytes(4, "little"))
                file.patch(at - 4, bytes(4))
                n_bytes = 0
            if not mpeg:
                return None
            open_ended = is_left_open(n_bytes)
            file.narrow(at, None if open_ended else at + n_bytes)
            return 0, None if open_ended else n_bytes
    return None


def _is_endless(n_bytes: int, rest: int, file: AudioFile) -> bool:
    """Whether the sound of a WAV goes on to the end of the file, whatever its length says."""
    if n_bytes == 0:
        return abs(int.from_bytes(file.peek(4, 4), "little") + 8 - file.size) > 1
    if rest - n_bytes > MAX_TRAILER[1]:
        return True  # the count went round
    return is_left_open(n_bytes) and rest - n_bytes > MAX_TRAILER[0]


def _caf(file: AudioFile) -> Extent | None:
    """A length of -1 is that of the rest of the file."""
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
            file.patch(at + 24, file.peek(at + 48, 2))  # libsndfile takes all of them for integers
        at += -(-n_bytes // 8) * 8
    return None


def _voc(file: AudioFile) -> Extent | None:
    """Blocks of a type and 24 bits of length; only the first one with sound is read."""
    at = int.from_bytes(file.peek(20, 2), "little")
    extent = None
    for _ in range(MAX_CHUNKS):
        head = file.peek(at, 4)
        if len(head) < 4 or head[0] == 0:
            break
        end = at + 4 + int.from_bytes(head[1:], "little")
        if head[0] in (1, 2, 9):
            if extent is not None:
                raise UnreadableError("a VOC file whose sound lies in several blocks")
            extent = at, end + (SOX_LACKS if file.size - end in (SOX_LACKS, SOX_LACKS + 1) else 0)
        elif extent is not None and head[0] > 9:
            break
        at = end
    return extent


def _nist(file: AudioFile) -> Extent | None:
    text = file.peek(0, 1024)
    fields = {
        name: int(value) for name, value in re.findall(rb"(?m)^(\w+) -i (\d{1,18})\s*$", text)
    }
    size = re.match(rb"NIST_1A\s+(\d{1,9})\s", text)
    n_frames = fields.get(b"sample_count", 0)
    if size is None or not n_frames:
        return None
    start = int(size[1])
    width = fields.get(b"channel_count", 1) * fields.get(b"sample_n_bytes", 1)
    return start, None if is_left_open(n_frames * width) else start + n_frames * width


def _iff(file: AudioFile) -> Extent | None:
    old = file.peek(8, 4) in (b"8SVX", b"16SV")
    for name, at, n_bytes in chunks(file, 12, "big"):
        if name == b"SSND":
            if is_left_open(n_bytes) and file.size - at - n_bytes > MAX_TRAILER[0]:
                file.patch(at - 4, bytes(4))
            return None
        if name == b"BODY" and old:
            return at, None if is_left_open(n_bytes) else at + n_bytes
    return None


def _avr(file: AudioFile) -> Extent | None:
    head = file.peek(0, 128)
    if len(head) < 128:
        return None
    mono, bits = struct.unpack_from(">HH", head, 12)
    (n_frames,) = struct.unpack_from(">I", head, 26)
    n_bytes = n_frames * (2 if mono else 1) * (bits // 8)
    return 128, None if is_left_open(n_bytes) else 128 + n_bytes


def _mpc2k(file: AudioFile) -> Extent | None:
    head = file.peek(0, 42)
    if len(head) < 42:
        return None
    n_channels = 2 if head[21] else 1
    (n_frames,) = struct.unpack_from("<I", head, 30)
    n_bytes = n_frames * n_channels * 2
    return 42, None if is_left_open(n_bytes) else 42 + n_bytes


def _mat5(file: AudioFile) -> Extent | None:
    """The sound is the fourth part of the second matrix, after flags, size and name."""
    order = "<" if file.peek(126, 2) == b"IM" else ">"

    def part(at: int) -> tuple[int, int]:
        """Start and length of the data of a part; those of up to 4 bytes lie in its head."""
        head = file.peek(at, 8).ljust(8, b"\0")
        kind, n_bytes = struct.unpack(order + "II", head)
        return (at + 4, kind >> 16) if kind >> 16 else (at + 8, n_bytes)

    def following(at: int) -> int:
        start, n_bytes = part(at)
        return at + 8 if start == at + 4 else start + -(-n_bytes // 8) * 8

    at = following(128) + 8
    for _ in range(3):
        at = following(at)
    start, n_bytes = part(at)
    return start, None if is_left_open(n_bytes) else start + n_bytes


def _pvf(file: AudioFile) -> Extent | None:
    n_header = file.peek(0, 256).find(b"\n", 5) + 1
    return (n_header, None) if n_header else None


def _xi(file: AudioFile) -> Extent | None:
    if len(head := file.peek(296, 6)) < 6 or head[:2] != b"\x01\0":
        return None
    n_bytes = int.from_bytes(head[2:], "little")
    return 338, None if is_left_open(n_bytes) else 338 + n_bytes


def _wve(file: AudioFile) -> Extent | None:
    n_bytes = int.from_bytes(file.peek(18, 4), "big")
    return 32, None if is_left_open(n_bytes) else 32 + n_bytes


def chunks(
    file: AudioFile, at: int, order: Literal["little", "big"]
) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of the chunks of a RIFF or IFF file."""
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
    b"caff": _caf,
    b"riff\x2e\x91\xcf\x11": _w64,
    b"Creative Voice File\x1a": _voc,
    b"NIST_1A": _nist,
    b"FORM": _iff,
    b"2BIT": _avr,
    b"\x01\x04": _mpc2k,
    b"MATLAB 5.0": _mat5,
    b"PVF1\n": _pvf,
    b"Extended Instrument: ": _xi,
    b"ALawSoundFile**": _wve,
}
