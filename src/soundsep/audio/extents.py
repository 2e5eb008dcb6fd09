"""Where the sound lies in a file, as its header says."""

from __future__ import annotations

__all__ = ["MAX_CHUNKS", "Extent", "extent", "is_left_open"]

MAX_CHUNKS = 2**12  # parts of a header ahead of the sound
# What is written for a length that is not known, less a header and the rest of a block; pipes
# cannot go back to write it. A plain WAV may well have any other length up to 4 GiB.
LEFT_OPEN = (0x7F000000, 2**31, 2**32, 2**63, 2**64)
LEFT_OPEN_WITHIN = 2**13  # bytes
Extent = tuple[int, int | None]  # start and end of the sound, in bytes; None: open, to the end


def is_left_open(n_bytes: int) -> bool:
    """Whether a length stands for one that is not known."""
    return n_bytes == 0 or any(-64 <= most - n_bytes <= LEFT_OPEN_WITHIN for most in LEFT_OPEN)


def extent(start: int, n_bytes: int) -> Extent:
    """A sound of so many bytes, unless that stands for a length that is not known."""
    return start, None if is_left_open(n_bytes) else start + n_bytes
