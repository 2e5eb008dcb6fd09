"""Check of the counts in an MP4, before FFmpeg believes them.

FFmpeg allocates memory for as many samples as a header counts: a file of ten kilobytes could take
gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from soundsep.audio.file import AudioFile

__all__ = ["counts_too_many"]

CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")  # of other boxes
MAX_BOXES = 2**20  # a day in fragments of a second has half as many
IS_TABLE = 0xF00  # flags of a run of samples that is followed by numbers for each sample


def counts_too_many(file: AudioFile) -> bool:
    """Whether an MP4 or MOV counts more samples than it has bytes; each takes at least one.

    Tables with a number for every sample do no harm, since they end with the file.

    Args:
        file: Open file.

    Raises:
        AudioError: the file cannot be read.

    References:
        ISO/IEC 14496-12 (2015), sections 8.6.1.2, 8.7.3.2 and 8.8.8.
    """
    n_in_runs = 0
    equal = {-1: 0}  # by track, the number of samples that have one size in common
    steps: set[int] = set()  # tracks in which each sample lasts one step
    track = -1
    for n_boxes, (name, start) in enumerate(_boxes(file, 0, file.size)):
        if n_boxes > MAX_BOXES:
            return True
        if name == b"trak":
            track += 1
        elif name == b"stsz":
            equal[track] = _number(file, start + 8) if _number(file, start + 4) else 0
        elif name == b"stts" and _number(file, start + 4) == _number(file, start + 12) == 1:
            steps.add(track)  # FFmpeg goes by the chunks, as in QuickTime's PCM
        elif name == b"trun" and not _number(file, start) & IS_TABLE:
            n_in_runs += _number(file, start + 4)
    n_equal = sum(n for track, n in equal.items() if track not in steps)
    return n_in_runs + n_equal > file.size


def _boxes(file: AudioFile, start: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, int]]:
    """Name and start of the contents of every box, nested ones included."""
    while start + 8 <= end:
        head = file.peek(start, 16)
        size, contents = int.from_bytes(head[:4], "big"), start + 8
        if size == 1:
            size, contents = int.from_bytes(head[8:], "big"), start + 16
        elif size == 0:  # up to the end
            size = end - start
        yield head[4:8], contents
        if head[4:8] in CONTAINERS and depth < len(CONTAINERS):
            yield from _boxes(file, contents, min(end, start + size), depth + 1)
        start += max(size, 8)


def _number(file: AudioFile, place: int) -> int:
    return int.from_bytes(file.peek(place, 4), "big")
