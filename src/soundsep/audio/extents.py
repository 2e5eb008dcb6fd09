"""Start and end of the sound in a file, by its header."""

from __future__ import annotations

__all__ = ["MAX_CHUNKS", "Extent", "extent", "is_left_open"]

MAX_CHUNKS = 2**12  # parts of a header before the sound
# Lengths written by programs that cannot go back to write the true one, as to a pipe, minus a
# header and the rest of a block. A plain WAV may have any other length up to 4 GiB.
LEFT_OPEN = (0x7F000000, 2**31, 2**32, 2**63, 2**64)
LEFT_OPEN_WITHIN = 2**13  # bytes
Extent = tuple[int, int | None]  # start and end of the sound, in bytes; None: open, to the end


def is_left_open(n_bytes: int) -> bool:
    """Whether a length stands for an unknown one.

    Args:
        n_bytes: Length by the header.
    """
    return n_bytes == 0 or any(-64 <= most - n_bytes <= LEFT_OPEN_WITHIN for most in LEFT_OPEN)


def extent(start: int, n_bytes: int) -> Extent:
    """Start and end of a sound, with an open end if its length stands for an unknown one.

    Args:
        start: First byte of the sound.
        n_bytes: Length by the header.
    """
    return start, None if is_left_open(n_bytes) else start + n_bytes
