"""Levels as small pictures side by side: PNG of sixteen colours."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["TILE_COLUMNS", "colour_steps", "overview", "png", "tiles"]

TILE_COLUMNS = 2_048
N_COLOURS = 16
MIN_RANGE_DB = 30.0
FLOOR, CEILING = 15.0, 99.8  # percentiles of the levels that are darkest and brightest
# From black over purple and orange to a light yellow, equally far apart to the eye ("inferno").
ANCHORS = (
    *((0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99)),
    *((212, 72, 66), (245, 125, 21), (250, 193, 39), (252, 255, 164)),
)


def colour_steps(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The number of the colour of every level, from dark to bright.

    A single bang does not darken the rest of a night: levels above nearly all others have the
    brightest colour.

    Shape:
        levels: (bands, columns). Returns the same.
    """
    sample = levels[:, :: max(1, levels.shape[1] // TILE_COLUMNS)]
    low, high = np.percentile(sample, [FLOOR, CEILING])
    low = min(low, high - MIN_RANGE_DB)
    scaled = (levels - low) * (N_COLOURS / (high - low))
    steps: NDArray[np.uint8] = np.clip(scaled, 0, N_COLOURS - 1).astype(np.uint8)
    return steps


def tiles(steps: NDArray[np.uint8]) -> list[bytes]:
    """All columns, in PNG pictures of `TILE_COLUMNS`.

    Shape:
        steps: (bands, columns).
    """
    return [
        png(steps[:, first : first + TILE_COLUMNS])
        for first in range(0, steps.shape[1], TILE_COLUMNS)
    ]


def overview(steps: NDArray[np.uint8]) -> tuple[bytes, int]:
    """One PNG picture of all columns, and the number of columns that one of its columns stands for.

    Shape:
        steps: (bands, columns).
    """
    group = -(-steps.shape[1] // TILE_COLUMNS)
    starts = np.arange(0, steps.shape[1], group)
    return png(np.maximum.reduceat(steps, starts, axis=1)), group


def png(steps: NDArray[np.uint8]) -> bytes:
    """A picture of (bands, columns), the first band at the bottom."""
    height, width = steps.shape
    even = np.pad(steps[::-1], ((0, 0), (0, width % 2)))
    packed = (even[:, ::2] << 4) | even[:, 1::2]
    rows = np.pad(packed, ((0, 0), (1, 0)))  # each begins with its filter: none
    places = np.linspace(0, len(ANCHORS) - 1, N_COLOURS)
    anchors = np.array(ANCHORS).T
    channels = [np.interp(places, range(len(ANCHORS)), channel) for channel in anchors]
    palette = np.stack(channels, axis=1).round().astype(np.uint8)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
