"""Pictures of sounds, results and training runs, each from a file in one call.

They need the ``plot`` extra: ``pip install "soundsep[plot]"``. Every function returns a
`matplotlib.figure.Figure` of its own; none touches pyplot or matplotlib's settings.
"""

from __future__ import annotations

from soundsep.plots.bands import plot_gammatone, plot_mel
from soundsep.plots.events import plot_events
from soundsep.plots.learning import plot_confusion, plot_curves
from soundsep.plots.mfcc import plot_mfcc
from soundsep.plots.picture import PictureOptions
from soundsep.plots.probabilities import plot_probabilities, plot_scores
from soundsep.plots.season import plot_season
from soundsep.plots.separation import plot_separation
from soundsep.plots.sound import plot_stft, plot_waveform
from soundsep.plots.surface import plot_3d

__all__ = [
    "PictureOptions",
    "plot_3d",
    "plot_confusion",
    "plot_curves",
    "plot_events",
    "plot_gammatone",
    "plot_mel",
    "plot_mfcc",
    "plot_probabilities",
    "plot_scores",
    "plot_season",
    "plot_separation",
    "plot_stft",
    "plot_waveform",
]
