"""Picture of one recording's spectrum over time as a surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import Unpack

from soundsep.audio import AudioInput
from soundsep.plots.bands import mel_centres, mel_columns, mel_config
from soundsep.plots.canvas import hz_ticks
from soundsep.plots.picture import Picture, PictureOptions
from soundsep.plots.sound import LEVEL_LABEL, RANGE_DB, below_loudest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_3d"]

MAX_TIMES = 240  # more could not be distinguished
SURFACE = (0.0, 0.03, 0.85, 0.91)  # left, bottom, width and height, as shares of the figure
COLOURS = (0.88, 0.22, 0.022, 0.55)


def plot_3d(
    audio: AudioInput,
    **options: Unpack[PictureOptions],
) -> Figure:
    """The mel spectrogram of `plot_mel` as a surface over time and frequency.

    The surface has at most `MAX_TIMES` points in time, each the loudest of its span in every band.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        DependencyError: matplotlib is not installed.
        AudioError: the recording cannot be read.
        ConfigError: as `plot_waveform`.
    """
    picture = Picture(audio, 7.0, **options)
    figure = picture.figure
    excerpt = picture.excerpt()
    config = mel_config(excerpt.rate)
    level = below_loudest(mel_columns(excerpt, config).values)
    n_bands, n = level.shape
    starts = np.linspace(0, n, min(n, MAX_TIMES), endpoint=False).astype(np.int64)
    level = np.maximum.reduceat(level, starts, axis=1)
    times = np.linspace(excerpt.start_seconds, excerpt.end_seconds, level.shape[1])
    # Walls down to the floor, so that the underside of the surface is not seen.
    level = np.pad(level, 1, constant_values=-RANGE_DB)
    times, bands = np.pad(times, 1, mode="edge"), np.pad(np.arange(n_bands), 1, mode="edge")
    # Placed by hand: a constrained layout cannot measure a 3-D axis, and may collapse it.
    figure.set_layout_engine("none")
    axes = figure.add_subplot(projection="3d")
    axes.set_position(SURFACE)
    surface = axes.plot_surface(
        *np.meshgrid(times, bands),
        level,
        cmap="viridis",
        vmin=-RANGE_DB,
        vmax=0,
        rcount=level.shape[0],
        ccount=level.shape[1],
        linewidth=0,
        antialiased=False,
    )
    figure.colorbar(surface, cax=figure.add_axes(COLOURS), label=LEVEL_LABEL)
    axes.view_init(elev=40, azim=-65)
    axes.set_zlim(-RANGE_DB, 0)
    axes.set_zlabel("level (dB)")
    axes.set_ylim(0, n_bands - 1)
    axes.set_yticks(*hz_ticks(mel_centres(config)))
    axes.set_ylabel("frequency (Hz), mel scale")
    axes.yaxis.labelpad = 12  # the ticks are wide
    return picture.finish(excerpt, axes)
