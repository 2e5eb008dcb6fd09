"""Start and end of the sound in the formats of old samplers, telephony and measurement."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Literal

from soundsep.audio.extents import MAX_CHUNKS, Extent, extent
from soundsep.audio.file import AudioFile, UnreadableError

__all__ = ["OLD_FINDERS"]

VOC_NEW = 9  # the type of a VOC block that states bits and channels
VOC_SOUND = {1: 2, 2: 0, VOC_NEW: 12}  # types of blocks with sound, and bytes ahead of it
VOC_LAW = (b"\1\6\0", b"\1\7\0")  # one channel of A-law or u-law
VOC_MAX = 2**24  # bytes; a length has 24 bits
VOC_SOX = b"\x0a\1"  # the version that sox writes, with blocks of a later version
SOX_LACKS = 8  # bytes that sox omits from the length of such a block
G72X = range(23, 27)  # encodings of AU for which libsndfile goes by the size of the file
MAT4_BYTES = (8, 4, 4, 2, 2, 1)  # of a number: double, float, int32, int16, uint16, uint8


def _voc(file: AudioFile) -> Extent | None:
    """VOC: blocks with a type and a length of 24 bits; only the first one with sound is read."""
    at = int.from_bytes(file.peek(20, 2), "little")
    found: Extent | None = None
    for _ in range(MAX_CHUNKS):
        head = file.peek(at, 12)
        if len(head) < 4 or head[0] == 0:
            break
        end = at + 4 + int.from_bytes(head[1:4], "little")
        if head[0] in VOC_SOUND:
            if found is not None:
                raise UnreadableError("a VOC file whose sound lies in several blocks")
            first, end = at + 4 + VOC_SOUND[head[0]], _voc_end(file, head, end)
            if end - at - 4 < VOC_MAX:
                file.patch(at + 1, (end - at - 4).to_bytes(3, "little"))
            # libsndfile needs one more byte: the type of the block that ends the file
            found = first, end + (first < end < file.size)
        elif found is not None and head[0] > VOC_NEW:
            raise UnreadableError("a VOC file in which no block follows the sound")
        at = end
    return found


def _voc_end(file: AudioFile, head: bytes, end: int) -> int:
    """End of a block with sound, whose length some programs write wrong."""
    is_new = head[0] == VOC_NEW
    lacking = SOX_LACKS if is_new and file.peek(22, 2) == VOC_SOX else 0
    n_after = file.size - 1 - end  # without the byte that ends the file
    if n_after >= VOC_MAX and n_after % VOC_MAX in (0, lacking):
        return file.size - 1  # the count wrapped around
    if lacking and file.peek(end + lacking, 1) == b"\0":
        return end + lacking
    # libsndfile counts the byte that ends the file as a sample.
    is_law = is_new and head[9:12] in VOC_LAW
    return end - 1 if is_law and n_after and file.peek(end - 1, 1) == b"\0" else end


def _au(file: AudioFile) -> Extent | None:
    order: Literal["little", "big"] = "big" if file.peek(0, 1) == b"." else "little"
    first, n_bytes, encoding = (int.from_bytes(file.peek(at, 4), order) for at in range(4, 16, 4))
    return extent(first, n_bytes) if encoding in G72X else None


def _mat4(file: AudioFile) -> Extent | None:
    """MAT4: the rate as a matrix of one double, then the sound, channels by samples."""
    order = ">" if file.peek(2, 1) == b"\3" else "<"

    def matrix(at: int) -> tuple[int, int]:
        """Start and length of the numbers of a matrix."""
        kind, n_rows, n_columns, _, n_name = struct.unpack(
            order + "5I", file.peek(at, 20).ljust(20, b"\0")
        )
        width = dict(enumerate(MAT4_BYTES)).get(kind // 10 % 10, 0)
        return at + 20 + n_name, n_rows * n_columns * width

    start, n_bytes = matrix(sum(matrix(0)))
    return extent(start, n_bytes) if n_bytes else None


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
    return extent(start, n_frames * width)


def _avr(file: AudioFile) -> Extent | None:
    head = file.peek(0, 128)
    if len(head) < 128:
        return None
    mono, bits = struct.unpack_from(">HH", head, 12)
    (n_frames,) = struct.unpack_from(">I", head, 26)
    n_bytes = n_frames * (2 if mono else 1) * (bits // 8)
    return extent(128, n_bytes)


def _mpc2k(file: AudioFile) -> Extent | None:
    head = file.peek(0, 42)
    if len(head) < 42:
        return None
    n_channels = 2 if head[21] else 1
    (n_frames,) = struct.unpack_from("<I", head, 30)
    n_bytes = n_frames * n_channels * 2
    return extent(42, n_bytes)


def _mat5(file: AudioFile) -> Extent | None:
    """MAT5: the sound is the fourth part of the second matrix, after flags, size and name."""
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
    return extent(start, n_bytes)


def _wve(file: AudioFile) -> Extent | None:
    n_bytes = int.from_bytes(file.peek(18, 4), "big")
    return extent(32, n_bytes)


OLD_FINDERS: dict[bytes, Callable[[AudioFile], Extent | None]] = {
    b"Creative Voice File\x1a": _voc,
    b".snd": _au,
    b"dns.": _au,
    b"NIST_1A": _nist,
    b"2BIT": _avr,
    b"\x01\x04": _mpc2k,
    bytes(4) + b"\1\0\0\0\1\0\0\0" + bytes(4): _mat4,
    b"\0\0\x03\xe8\0\0\0\1\0\0\0\1" + bytes(4): _mat4,
    b"MATLAB 5.0": _mat5,
    b"ALawSoundFile**": _wve,
}
