"""Pictures of one recording: its waveform, and its spectrum over time."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Unpack

from soundsep.audio import AudioInput
from soundsep.frontends import power_to_db
from soundsep.plots.canvas import (
    format_hz,
    set_time_axis,
)
from soundsep.plots.picture import HEIGHT, Picture, PictureOptions
from soundsep.plots.spectrogram import (
    AMIN,
    Columns,
    Excerpt,
    columns,
    envelope,
    stft_power,
    window_samples,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "below_loudest",
    "draw_levels",
    "draw_waveform",
    "plot_stft",
    "plot_waveform",
    "set_frequency_axis",
    "stft_columns",
]

RANGE_DB = 80.0  # levels further below the loudest point have one colour
SILENCE_DB = -220.0  # a recording that is nowhere louder is digital silence, and stays dark
LEVEL_LABEL = "level (dB, loudest point = 0)"


def plot_waveform(
    audio: AudioInput,
    **options: Unpack[PictureOptions],
) -> Figure:
    """Samples over time; of a long recording, the lowest and highest of each short span.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        DependencyError: matplotlib is not installed.
        AudioError: the recording cannot be read.
        ConfigError: the part lies outside the recording, an array has no ``sample_rate``, or
            ``path`` cannot be written.
    """
    picture = Picture(audio, HEIGHT - 1.5, **options)
    excerpt = picture.excerpt()
    axes = picture.figure.add_subplot()
    draw_waveform(axes, excerpt)
    return picture.finish(excerpt, axes)


def draw_waveform(axes: Axes, excerpt: Excerpt) -> None:
    """Draw a waveform and its time axis."""
    low, high = envelope(excerpt.waveform)
    start, end = excerpt.start_seconds, excerpt.end_seconds
    if len(low) == len(excerpt.waveform):
        times = start + np.arange(len(low)) / excerpt.rate
        marker = "o" if len(low) < 50 else ""
        axes.plot(times, low.numpy(), marker=marker, markersize=3, linewidth=0.8, color="#0072B2")
    else:
        times = np.linspace(start, end, len(low))
        axes.fill_between(times, low.numpy(), high.numpy(), linewidth=0.5, color="#0072B2")
    peak = 1.05 * max(float(high.max()), -float(low.min())) or 1.0  # 1 for silence
    axes.set_ylim(-peak, peak)
    axes.set_ylabel("amplitude\n(full scale = 1)")
    axes.grid(alpha=0.3)
    set_time_axis(axes, start, end)


def plot_stft(
    audio: AudioInput,
    **options: Unpack[PictureOptions],
) -> Figure:
    """Short-time Fourier transform in dB, over a linear frequency axis.

    The Hann window is the power of two nearest to 40 ms (2048 samples at 44.1 kHz), the step a
    quarter of it.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        DependencyError: matplotlib is not installed.
        AudioError: the recording cannot be read.
        ConfigError: as `plot_waveform`.
    """
    picture = Picture(audio, **options)
    excerpt = picture.excerpt()
    axes = picture.figure.add_subplot()
    bin_hz = excerpt.rate / window_samples(excerpt.rate)
    shown = stft_columns(excerpt)
    draw_levels(
        picture.figure, axes, shown, bottom=-bin_hz / 2, top=(len(shown.values) - 0.5) * bin_hz
    )
    set_frequency_axis(axes, excerpt)
    return picture.finish(excerpt, axes)


def set_frequency_axis(axes: Axes, excerpt: Excerpt) -> None:
    """Label the vertical axis with round frequencies from 0 to half of the rate."""
    from matplotlib.ticker import MaxNLocator

    axes.set_ylim(0, excerpt.rate / 2)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 4, 5, 10]))
    axes.yaxis.set_major_formatter(format_hz)
    axes.set_ylabel("frequency (Hz)")


def stft_columns(excerpt: Excerpt) -> Columns:
    """Power of the short-time Fourier transform, in dB."""
    window = window_samples(excerpt.rate)
    transform = functools.partial(stft_power, window=window)
    shown = columns(transform, excerpt, hop=window // 4, min_samples=window)
    # The logarithm keeps the order, so it is computed after the loudest of each column was chosen.
    db = power_to_db(torch.from_numpy(shown.values), amin=AMIN)
    return replace(shown, values=db.numpy())


def below_loudest(db: NDArray[np.float32], loudest: float | None = None) -> NDArray[np.float32]:
    """Levels relative to the loudest point, from -`RANGE_DB` to 0 dB.

    Args:
        db: Levels in dB.
        loudest: Level that counts as 0 dB; by default the highest of ``db``.

    Shape:
        db: (bands, columns). Returns the same.
    """
    loudest = max(float(db.max()) if loudest is None else loudest, SILENCE_DB)
    level: NDArray[np.float32] = np.clip(db - loudest, -RANGE_DB, 0)
    return level


def draw_levels(
    figure: Figure,
    axes: Axes,
    shown: Columns,
    *,
    bottom: float,
    top: float,
    loudest: float | None = None,
    colour_bar: bool = True,
) -> None:
    """Draw levels as an image.

    Args:
        figure: Figure of the axes.
        axes: Axes to draw on.
        shown: Levels in dB.
        bottom: Lower edge of the image, in units of the vertical axis.
        top: Upper edge of the image, likewise.
        loudest: Level that counts as 0 dB; by default that of the loudest point.
        colour_bar: Draw a colour bar beside the image.
    """
    image = axes.imshow(
        below_loudest(shown.values, loudest),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-RANGE_DB,
        vmax=0,
        extent=(shown.first_edge_seconds, shown.last_edge_seconds, bottom, top),
    )
    if colour_bar:
        figure.colorbar(image, ax=axes, label=LEVEL_LABEL, pad=0.02)
