"""The length of a FLAC file by its header and first frame."""

from __future__ import annotations

from soundsep.audio.file import AudioFile

__all__ = ["FLAC", "hide_length"]

FLAC = b"fLaC\0\0\0\x22"  # the first bytes of a file
MAX_BLOCK_AT, COUNT_AT, BLOCKS_AT = 10, 18, 4  # places in the file
MAX_BLOCKS = 2**10  # of metadata


def hide_length(file: AudioFile) -> int | None:
    """Hide the length in the header from libsndfile, and return it.

    libsndfile would stop there even if the sound goes on. The last of several segments of a
    recording counts the samples of all, but its first frame states its own position among them.

    Args:
        file: Open file, which is patched.

    Returns:
        Samples per channel; ``None`` if the header does not state them.

    Raises:
        AudioError: the file cannot be read.

    References:
        van Beurden and Weaver (2024), "Free Lossless Audio Codec (FLAC)", RFC 9639, sections 8.2
        and 9.1.
    """
    packed = int.from_bytes(file.peek(COUNT_AT, 8), "big")
    n_samples = packed % 2**36
    file.patch(COUNT_AT, (packed - n_samples).to_bytes(8, "big"))
    return max(0, n_samples - _first_sample(file)) or None


def _first_sample(file: AudioFile) -> int:
    """Position of the first frame in its recording, in samples; 0 if it states none."""
    at = BLOCKS_AT
    for _ in range(MAX_BLOCKS):
        head = file.peek(at, 4)
        at += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or head[0] & 0x80:  # the last one
            break
    head = file.peek(at, 11)
    if len(head) < 11 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return 0
    number = _number(head[4:])
    if head[1] & 1:  # blocks differ in length, and the number counts samples
        return number
    return number * int.from_bytes(file.peek(MAX_BLOCK_AT, 2), "big")


def _number(code: bytes) -> int:
    """A number coded like UTF-8, in up to seven bytes."""
    n_bytes = f"{code[0]:08b}".index("0") if code[0] != 0xFF else 8
    if n_bytes == 0:
        return code[0]
    if n_bytes == 1 or n_bytes > len(code):
        return 0
    number = code[0] % 2 ** (7 - n_bytes) if n_bytes < 7 else 0
    for byte in code[1:n_bytes]:
        number = number << 6 | byte & 0x3F
    return number
