"""Where MPEG audio (MP3, MP2) begins and ends in a file, and what its first frame counts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from soundsep.audio.file import AudioFile

__all__ = ["find_frames", "is_frame", "settle_mpeg", "skip_id3", "skip_zeros"]

# Bit rates in kbit/s by the index in a header: of MPEG 1 in layers I, II and III, of MPEG 2 and 2.5
# in layer I, and in layers II and III.
# fmt: off
MPEG1_I = (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448)
MPEG1_II = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
MPEG1_III = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_I = (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
MPEG2_II = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# fmt: on
RATES = (44_100, 48_000, 32_000)  # of MPEG 1; half of it in MPEG 2, a quarter in 2.5
SYNC = re.compile(rb"\xff[\xe2-\xff]")
LONGEST_FRAME = 2_881  # bytes, of MPEG 2.5 layer II at 160 kbit/s and 8 kHz
CHAIN = 4  # frames in a row that are no accident
# Within one recording bit rates differ by a factor of 32 at most (8 to 256 kbit/s). libmpg123 takes
# all frames to be as long as the first, and libsndfile stops where that ends.
CLAIMED_SIZES = 64
VBRI_AT = 36  # where the counts of another encoder are
ID3V1, APE, LYRICS = 128, 32, 15  # bytes of a tag, a tag's footer, an ending
BLOCK = 2**16


@dataclass(frozen=True)
class Frame:
    """A frame by its header of four bytes.

    Attributes:
        n_bytes: Its length.
        kind: What the frames of one recording have in common.
        counts_at: Where the counts of Xing would be, if the frame holds them.
    """

    n_bytes: int
    kind: tuple[int, int, int]
    counts_at: int


def frame(header: bytes) -> Frame | None:
    """What four bytes say, or ``None`` where they are no header or tell no length."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return None
    first = version == 3
    table = ((MPEG1_I, MPEG1_II, MPEG1_III) if first else (MPEG2_I, MPEG2_II, MPEG2_II))[layer - 1]
    hz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = table[bit_rate] * 1000
    if layer == 1:
        n_bytes = (12 * bits // hz + padding) * 4
    else:
        n_bytes = (144 if first or layer == 2 else 72) * bits // hz + padding
    mono = header[3] >> 6 == 3
    return Frame(n_bytes, (version, layer, rate), 4 + ((17, 9) if mono else (32, 17))[not first])


def is_frame(file: AudioFile) -> bool:
    """Whether the file begins as a frame does, of a length that its header tells or not."""
    start = file.peek(0, 2)
    return len(start) == 2 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] & 6 != 0


def find_frames(file: AudioFile, offset: int, most: int | None = None) -> int | None:
    """Where the next frames in a row begin, at most ``most`` bytes on, or ``None``."""
    end = file.size if most is None else min(file.size, offset + most)
    while offset < end:
        data = file.peek(offset, min(BLOCK, end - offset) + 1)
        for found in SYNC.finditer(data):
            if _is_chain(file, at := offset + found.start()):
                return at
        offset += BLOCK
    return None


def _is_chain(file: AudioFile, at: int) -> bool:
    kind = None
    for _ in range(CHAIN):
        found = frame(file.peek(at, 4))
        if found is None or kind not in (None, found.kind):
            return False
        kind = found.kind
        at += found.n_bytes
    return at <= file.size


def skip_id3(file: AudioFile) -> None:
    """Leave out the ID3v2 tags that a file of any format may begin with."""
    while (start := file.peek(0, 10)).startswith(b"ID3") and len(start) == 10:
        if any(byte & 0x80 for byte in start[6:]):
            return
        size = sum(byte << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))
        file.narrow(10 + size + (10 if start[5] & 0x10 else 0))


def skip_zeros(file: AudioFile) -> None:
    """Leave out zero bytes before the first frame, as recorders write ahead of it."""
    at = 0
    while not (data := file.peek(at, BLOCK)).strip(b"\0") and data:
        at += len(data)
    at += len(data) - len(data.lstrip(b"\0"))
    if at and _is_chain(file, at):
        file.narrow(at)


def settle_mpeg(file: AudioFile) -> None:
    """Show libsndfile the frames alone, and let it read them to the last.

    Tags at the end are left out. Where the first frame counts the frames, libsndfile reads so
    many. A first frame whose count is missing, or leaves out other frames because recordings were
    joined, is left out.
    """
    while n_bytes := _tag_at_end(file):
        file.narrow(0, file.size - n_bytes)
    first = frame(file.peek(0, 4))
    if first is not None and (counts := file.peek(first.counts_at, 16))[:4] in (b"Xing", b"Info"):
        has_frames, has_bytes = counts[7] & 1 and any(counts[8:12]), counts[7] & 2
        n_bytes = max(first.n_bytes, int.from_bytes(counts[12:16], "big")) if has_bytes else 0
        if has_frames and not (n_bytes and find_frames(file, n_bytes) is not None):
            return
        file.narrow(first.n_bytes)
    elif first is not None and file.peek(VBRI_AT, 4) == b"VBRI":
        return
    file.claim(CLAIMED_SIZES * file.size + BLOCK)


def _tag_at_end(file: AudioFile) -> int:
    """Length of the tag that the file ends with, 0 for none."""
    size = file.size
    if file.peek(size - ID3V1, 3) == b"TAG" and size > ID3V1:
        return ID3V1
    footer = file.peek(max(0, size - APE), APE)
    if footer.startswith(b"APETAGEX"):
        n_bytes = int.from_bytes(footer[12:16], "little") + (APE if footer[23] & 0x80 else 0)
        return n_bytes if APE <= n_bytes < size else 0
    ending = footer[-LYRICS:]
    if ending.endswith(b"LYRICS200") and ending[:6].isdigit():
        n_bytes = int(ending[:6]) + LYRICS
        return n_bytes if n_bytes < size else 0
    return 0
