"""The end of the sound in an AMR file, which states no length."""

from __future__ import annotations

from soundsep.audio.file import AudioFile

__all__ = ["skip_zeros_at_end"]

# Bytes of a frame by its type, by the first bytes of a file: narrow band and wide band.
FRAMES = {
    b"#!AMR\n": {**dict(enumerate((13, 14, 16, 18, 20, 21, 27, 32, 6))), 15: 1},
    b"#!AMR-WB\n": {**dict(enumerate((18, 24, 33, 37, 41, 47, 51, 59, 61, 6))), 14: 1, 15: 1},
}
MIN_ZEROS = 13  # zeros that can be taken for a frame
BLOCK = 2**16  # bytes


def skip_zeros_at_end(file: AudioFile) -> None:
    """Leave out zeros after the last frame, which FFmpeg takes for frames of silence.

    If the file is damaged before them, nothing is left out.

    Args:
        file: Open file, which is narrowed to its frames.

    Raises:
        AudioError: the file cannot be read.
    """
    n_sound = file.size - _zeros_at_end(file)
    if file.size - n_sound < MIN_ZEROS:
        return
    for start, sizes in FRAMES.items():
        if file.peek(0, len(start)) == start:
            end = _following_frame(file, sizes, len(start), n_sound)
            if end is not None:
                file.narrow(0, end)


def _zeros_at_end(file: AudioFile) -> int:
    n_zeros = 0
    while n_zeros < file.size:
        at = max(0, file.size - n_zeros - BLOCK)
        block = file.peek(at, file.size - n_zeros - at)
        n_zeros += len(block) - len(block.rstrip(b"\0"))
        if block.rstrip(b"\0"):
            break
    return n_zeros


def _following_frame(file: AudioFile, sizes: dict[int, int], at: int, offset: int) -> int | None:
    """Start of the first frame at or after ``offset``; ``None`` if the frames end before."""
    first, block = at, b""
    while at < offset:
        if at - first >= len(block):
            first, block = at, file.peek(at, BLOCK)
        size = sizes.get(block[at - first] >> 3 & 15)
        if size is None:
            return None
        at += size
    return at
