"""Start and end of MPEG audio (MP3, MP2) in a file, and the counts in its first frame."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from soundsep.audio.file import AudioFile, UnreadableError

__all__ = [
    "count_samples",
    "find_frames",
    "is_frame",
    "settle_mpeg",
    "skip_id3",
    "skip_tags_at_end",
    "skip_torn_frame",
]

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
# The first two bytes of a header before a third one, without reserved values.
THIRD = b"".join(b"\\x%x0-\\x%xb" % (n, n) for n in range(1, 15))
SYNC = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff](?=[" + THIRD + b"])")
MAX_FRAME_BYTES = 2_881  # bytes, of MPEG 2.5 layer II at 160 kbit/s and 8 kHz
CHAIN, MANY = 4, 64  # frames in a row that are not there by chance, and that are a stream
# Within one recording bit rates differ by a factor of 32 at most (8 to 256 kbit/s). libmpg123 takes
# all frames to be as long as the first, and libsndfile stops at the end of that estimate.
CLAIMED_SIZES = 64
VBRI_AT = 36  # position of the counts of the encoders of Fraunhofer
ID3V1, APE, LYRICS = 128, 32, 15  # bytes of a tag, a tag's footer, an ending
BLOCK = 2**16
MAX_FALSE = 2**16  # in random bytes, one in 5,500 looks like a frame
MAX_TAGS = 16  # at the start or the end of a file


@dataclass(frozen=True)
class Frame:
    """A frame, by its header of four bytes.

    Attributes:
        n_bytes: Length of the frame.
        n_samples: Samples per channel.
        kind: Version, layer and rate, which all frames of a recording have in common.
        counts_at: Byte at which the counts of Xing would begin, if the frame holds them.
    """

    n_bytes: int
    n_samples: int
    kind: tuple[int, int, int]
    counts_at: int


@functools.lru_cache(maxsize=256)  # those of a recording are much the same
def frame(header: bytes) -> Frame | None:
    """The frame that a header describes.

    Args:
        header: Four bytes.

    Returns:
        The frame; ``None`` if this is not a header, or states no length.
    """
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
    n_samples = 384 if layer == 1 else 576 if layer == 3 and not first else 1152
    return Frame(
        n_bytes, n_samples, (version, layer, rate), 4 + ((17, 9) if mono else (32, 17))[not first]
    )


def is_frame(file: AudioFile) -> bool:
    """Whether the file begins with a frame, whether or not its header states a length."""
    start = file.peek(0, 2)
    return len(start) == 2 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] & 6 != 0


def find_frames(file: AudioFile, offset: int, most: int | None = None) -> int | None:
    """Start of the next frames in a row.

    Args:
        file: Open file.
        offset: Byte to start at.
        most: Number of bytes to search; by default to the end of the file.

    Returns:
        Position of the first of `CHAIN` frames in a row; ``None`` if there are none.

    Raises:
        UnreadableError: too many bytes look like a frame without being one; the search would take
            minutes.
        AudioError: the file cannot be read.
    """
    end = file.size if most is None else min(file.size, offset + most)
    n_false = 0
    while offset < end:
        data = file.peek(offset, min(BLOCK, end - offset) + 2)
        for found in SYNC.finditer(data):
            if _walk(file, at := offset + found.start(), CHAIN)[1] == CHAIN:
                return at
            n_false += 1
        if n_false > MAX_FALSE:
            raise UnreadableError("MPEG audio without end, of frames that do not fit together")
        offset += BLOCK
    return None


def _walk(file: AudioFile, at: int, most: int | None = None) -> tuple[int, int]:
    """End of the complete frames that begin at ``at``, and their number."""
    kind, n_frames = None, 0
    data, base = b"", at
    while n_frames != most:
        if not base <= at <= base + len(data) - 4:
            data, base = file.peek(at, 4 if most else BLOCK), at
        found = frame(data[at - base : at - base + 4])
        if found is None or kind not in (None, found.kind) or at + found.n_bytes > file.size:
            break
        kind = found.kind
        at += found.n_bytes
        n_frames += 1
    return at, n_frames


def skip_id3(file: AudioFile) -> None:
    """Leave out ID3v2 tags at the start of any format, and zeros at the start of MPEG audio.

    Args:
        file: Open file, which is narrowed.

    Raises:
        AudioError: the file cannot be read.
    """
    for _ in range(MAX_TAGS):
        start = file.peek(0, 10)
        if start.startswith(b"\0"):
            at = _count_zeros(file)
            if file.peek(at, 3) != b"ID3" and _walk(file, at, CHAIN)[1] < CHAIN:
                return
            file.narrow(at)
        elif start.startswith(b"ID3") and len(start) == 10 and not any(b & 0x80 for b in start[6:]):
            size = sum(byte << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))
            file.narrow(10 + size + (10 if start[5] & 0x10 else 0))
        else:
            return


def _count_zeros(file: AudioFile) -> int:
    at = 0
    while (data := file.peek(at, BLOCK)) and not data.strip(b"\0"):
        at += len(data)
    return at + len(data) - len(data.lstrip(b"\0"))


def skip_torn_frame(file: AudioFile) -> bool:
    """Leave out the rest of a frame, with which a stream that was joined midway begins.

    Args:
        file: Open file, which is narrowed.

    Returns:
        Whether the file begins so.

    Raises:
        UnreadableError: as `find_frames`.
        AudioError: the file cannot be read.
    """
    at = find_frames(file, 0, MAX_FRAME_BYTES)
    if not at:
        return False
    end, n_frames = _walk(file, at, MANY)
    if n_frames < MANY and end + MAX_FRAME_BYTES < file.size:
        return False  # frames in a container of another kind
    file.narrow(at)
    return True


def skip_tags_at_end(file: AudioFile) -> None:
    """Leave out ID3v1, APE and Lyrics3 tags at the end.

    Args:
        file: Open file, which is narrowed.

    Raises:
        AudioError: the file cannot be read.
    """
    for _ in range(MAX_TAGS):
        if not (n_bytes := _tag_at_end(file)):
            return
        file.narrow(0, file.size - n_bytes)


def settle_mpeg(file: AudioFile) -> None:
    """Show libsndfile only the frames, and make it read all of them.

    Tags and junk at the end are left out, and so is a last frame that was cut. If the first frame
    counts the frames, libsndfile reads that many. A first frame whose count is missing, too small
    because recordings were joined, or of a kind that libsndfile does not know, is left out.

    Args:
        file: Open file, which is narrowed.

    Raises:
        UnreadableError: as `find_frames`.
        AudioError: the file cannot be read.
    """
    skip_tags_at_end(file)
    file.narrow(0, _end_of_frames(file))
    if (first := frame(file.peek(0, 4))) is not None:
        counts = file.peek(first.counts_at, 16)
        is_xing = counts.startswith((b"Xing", b"Info"))
        if is_xing and _counts_all(file, first, counts.ljust(16, b"\0")):
            if counts[7] & 2 and file.size < 2**32:
                # libmpg123 prints a warning of its own if the file has another size.
                file.patch(first.counts_at + 12, file.size.to_bytes(4, "big"))
            return
        # libmpg123 knows no VBRI, and would give the sound of that frame, which is silence.
        is_vbri = file.peek(VBRI_AT, 4) == b"VBRI"
        if (is_xing or is_vbri) and file.size > first.n_bytes:
            file.narrow(first.n_bytes)
    file.claim(CLAIMED_SIZES * file.size + BLOCK)


def _counts_all(file: AudioFile, first: Frame, counts: bytes) -> bool:
    """Whether the first frame counts the frames of the file, and no more follow."""
    has_frames, has_bytes = counts[7] & 1 and any(counts[8:12]), counts[7] & 2
    if not has_frames or not has_bytes:
        return bool(has_frames)
    n_bytes = max(first.n_bytes, int.from_bytes(counts[12:16], "big"))
    return find_frames(file, n_bytes) is None and _walk(file, n_bytes, 2)[1] < 2


def count_samples(file: AudioFile) -> int:
    """Samples per channel in all frames, without decoding; damage between frames is skipped.

    Args:
        file: Open file.

    Raises:
        UnreadableError: as `find_frames`.
        AudioError: the file cannot be read.
    """
    at, n_samples = find_frames(file, 0), 0
    while at is not None:
        first = frame(file.peek(at, 4))
        at, n_frames = _walk(file, at)
        n_samples += n_frames * (first.n_samples if first else 0)
        at = find_frames(file, at)
    return n_samples


def _end_of_frames(file: AudioFile) -> int:
    """End of the last complete frame; the end of the file if there is none."""
    tail = BLOCK
    while True:
        at = find_frames(file, max(0, file.size - tail))
        if at is not None or tail >= file.size:
            break
        tail *= 16
    if at is None:
        end, n_frames = _walk(file, 0)
        return end if n_frames else file.size
    while at is not None:
        end = _walk(file, at)[0]
        at = find_frames(file, end)
    return end


def _tag_at_end(file: AudioFile) -> int:
    """Length of the tag at the end of the file, 0 if there is none."""
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
