"""Parts that all pictures share: the figure, its file, titles, and axes in Hz and seconds."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundsep.errors import ConfigError, DependencyError, warn
from soundsep.files import saving
from soundsep.names import path_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "count_axis",
    "format_hz",
    "hz_ticks",
    "new_figure",
    "save_figure",
    "set_time_axis",
    "set_title",
]

DPI = 150
MAX_TITLE = 80  # characters
# In order of importance, for axes without room for all of them.
ROUND_HZ = (1_000, 100, 4_000, 500, 2_000, 8_000, 16_000, 200, 32_000, 64_000, 128_000, 256_000, 50)
MISSING = r"Glyph (\d+) .* missing from"  # how matplotlib's warning begins
MIN_GAP = 0.045  # between two ticks, as a share of the axis


def new_figure(path: str | Path | None, width: float, height: float) -> Figure:
    """An empty figure, made only if it can be written to ``path``.

    Args:
        path: File of the picture, if it is to have one.
        width: Width of the picture, in inches.
        height: Height of the picture, in inches.

    Raises:
        DependencyError: matplotlib is not installed.
        ConfigError: ``path`` does not end like a format that matplotlib writes.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError(
            f"plots need matplotlib, which cannot be imported: {error}; "
            'install it with: pip install "soundsep[plot]"'
        ) from error
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    formats = figure.canvas.get_supported_filetypes()
    if path is not None and (ending := _ending(path)) not in formats:
        raise ConfigError(
            f"{path} cannot be written: expected a name that ends in "
            f"{', '.join(f'.{known}' for known in sorted(formats))}, got {ending!r}"
        )
    return figure


def save_figure(figure: Figure, path: str | Path | None) -> Figure:
    """Write the figure, if it has a file, and return it.

    Args:
        figure: The finished figure.
        path: File to write; an existing one is replaced.

    Raises:
        ConfigError: the file cannot be written.

    Warns:
        SoundsepWarning: no font has some of the letters.
    """
    if path is not None:
        with saving(path) as temporary, warnings.catch_warnings(record=True) as told:
            warnings.filterwarnings("always", MISSING)
            figure.savefig(temporary, format=_ending(path))
        lacking = dict[str, None]()
        for warning in told:
            if missing := re.match(MISSING, str(warning.message)):
                lacking[chr(int(missing[1]))] = None
            elif isinstance(warning.message, Warning):  # as all are
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        if lacking:
            warn(
                f"matplotlib has no font with {' '.join(lacking)}, so the picture shows boxes; "
                "install one, such as Noto Sans CJK, and name it in its setting font.sans-serif"
            )
    return figure


def _ending(path: str | Path) -> str:
    return Path(path_text(path)).suffix.lower().removeprefix(".")


def set_title(axes: Axes, title: str | None, path: object) -> None:
    """Set the title.

    Args:
        axes: Axes to draw on.
        title: Text; ``None`` for the name of the file.
        path: Recording, whose name is used if it is a path.
    """
    if title is None:
        title = Path(path_text(path)).name if isinstance(path, (str, os.PathLike)) else ""
    # File names can hold anything: bytes that are not text, line breaks, dollar signs.
    title = " ".join(title.encode("utf-8", "replace").decode().split())
    if len(title) > MAX_TITLE:
        title = f"{title[: MAX_TITLE // 2]} ... {title[-MAX_TITLE // 2 :]}"
    axes.set_title(title, parse_math=False)


def set_time_axis(axes: Axes, start_seconds: float, end_seconds: float) -> None:
    """Label the horizontal axis with the seconds of the recording."""
    axes.set_xlim(start_seconds, end_seconds)
    axes.set_xlabel("time (s)")


def count_axis(axis: Axis) -> None:
    """Label an axis with integers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def format_hz(hz: float, _position: float = 0) -> str:
    """Label of a frequency, in Hz or kHz.

    Examples:
        >>> format_hz(500), format_hz(2_000), format_hz(2_500)
        ('500', '2k', '2.5k')
    """
    return f"{hz / 1_000:g}k" if abs(hz) >= 1_000 else f"{hz:g}"


def hz_ticks(centres: NDArray[np.float64]) -> tuple[list[float], list[str]]:
    """Positions and labels of round frequencies on an axis of bands.

    Args:
        centres: Centre frequency of each band in Hz, (bands,), rising.

    Examples:
        >>> hz_ticks(np.array([250.0, 500.0, 1000.0, 2000.0, 3000.0]))
        ([1.0, 2.0, 3.0], ['500', '1k', '2k'])
    """
    places: dict[int, float] = {}
    for hz in ROUND_HZ:
        if centres[0] <= hz <= centres[-1]:
            place = float(np.interp(hz, centres, np.arange(len(centres))))
            if all(abs(place - other) >= MIN_GAP * len(centres) for other in places.values()):
                places[hz] = place
    ticks = sorted(places)
    return [places[hz] for hz in ticks], [format_hz(hz) for hz in ticks]
