"""A recording and its separated sources, below each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.plots.canvas import new_figure, save_figure, set_time_axis, set_title
from soundsep.plots.picture import WIDTH
from soundsep.plots.sound import draw_levels, set_frequency_axis, stft_columns
from soundsep.plots.spectrogram import Excerpt, window_samples
from soundsep.separator import Separation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_separation"]

HEIGHT = 2.6  # inches, of one panel


def plot_separation(
    separation: Separation,
    *,
    titles: Mapping[str, str] | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Spectrograms of the mixture and of every source, in dB below the loudest of the mixture.

    Args:
        separation: Result of `soundsep.Separator`, or a pipeline's ``result.separation``.
        titles: Titles of ``"mixture"`` and of sources, by their names, such as the label of each;
            by default the names.
        path: File to write, in the format of its ending (png, pdf, svg...).

    Raises:
        DependencyError: matplotlib is not installed.
        ConfigError: ``path`` cannot be written.
    """
    sounds = {
        "mixture": separation.mixture,
        **dict(zip(separation.sources, separation, strict=True)),
    }
    figure = new_figure(path, WIDTH, HEIGHT * len(sounds))
    panels = figure.subplots(len(sounds), sharex=True)
    rate = separation.sample_rate
    bin_hz = rate / window_samples(rate)
    loudest = None
    for axes, (name, audio) in zip(panels, sounds.items(), strict=True):
        excerpt = Excerpt(waveform=audio.mean(dim=0), rate=rate, start_seconds=0.0)
        shown = stft_columns(excerpt)
        loudest = float(shown.values.max()) if loudest is None else loudest
        top = (len(shown.values) - 0.5) * bin_hz
        draw_levels(figure, axes, shown, bottom=-bin_hz / 2, top=top, loudest=loudest)
        set_frequency_axis(axes, excerpt)
        set_time_axis(axes, excerpt.start_seconds, excerpt.end_seconds)
        axes.label_outer()
        set_title(axes, (titles or {}).get(name, name), None)
    return save_figure(figure, path)
