"""What a model hears, window by window, over the time of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundsep.audio import AudioInput
from soundsep.errors import AudioError, ConfigError
from soundsep.pipeline import Pipeline
from soundsep.plots.canvas import new_figure, save_figure, set_time_axis, set_title
from soundsep.plots.sound import WIDTH, draw_waveform
from soundsep.plots.spectrogram import Excerpt, load_excerpt
from soundsep.windows import window_starts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_probabilities"]


def plot_probabilities(
    audio: AudioInput,
    *,
    model: Pipeline | str | Path = "esc50-resnet34",
    device: str = "cpu",
    top_k: int = 10,
    batch_size: int = 16,
    progress: bool | None = None,
    sample_rate: int | None = None,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    title: str | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Probabilities of the classes over time, below the waveform.

    Each column is a window of the model, drawn around its middle; the shown classes are those with
    the highest peaks. Windows of digital silence stay empty.

    Args:
        audio: As for `plot_waveform`, like all arguments that are not named here.
        model: A pipeline, or what `Pipeline.from_pretrained` takes.
        device: Where a model that is given by name runs.
        top_k: Most classes shown, at least 1.
        batch_size: Windows a forward pass.
        progress: Show a progress bar; by default on a terminal.
        sample_rate: Rate of an array, in Hz.
        start_seconds: Where the picture begins.
        duration_seconds: How much is shown.
        title: Above the picture.
        path: Where the picture is written.

    Raises:
        AudioError: the recording cannot be read, is too short to analyse, or is digital silence.
        ConfigError: there is no such model, an option is out of range, or ``path`` cannot be
            written.
        WeightsError: the model's files cannot be had.
        DependencyError: matplotlib is not installed.
    """
    if top_k < 1:
        raise ConfigError(f"top_k must be at least 1, got {top_k}")
    figure = new_figure(path, WIDTH, 2.5 + 0.3 * top_k)
    pipeline = (
        model if isinstance(model, Pipeline) else Pipeline.from_pretrained(model, device=device)
    )
    excerpt = load_excerpt(
        audio,
        sample_rate=sample_rate,
        start_seconds=start_seconds,
        duration_seconds=duration_seconds,
        target_rate=pipeline.sample_rate,
    )
    edges, scores = _window_scores(pipeline, excerpt, batch_size=batch_size, progress=progress)
    shown = np.argsort(-np.nanmax(scores, axis=0), kind="stable")[:top_k]
    above, below = figure.subplots(2, sharex=True, height_ratios=(1.2, 0.3 * len(shown) + 0.2))
    draw_waveform(above, excerpt)
    above.set_xlabel("")
    set_title(above, title, audio)
    image = below.pcolormesh(
        edges, np.arange(len(shown) + 1) - 0.5, scores[:, shown].T, cmap="viridis", vmin=0, vmax=1
    )
    figure.colorbar(image, ax=below, label="probability", pad=0.02)
    below.set_yticks(range(len(shown)), [pipeline.labels[i] for i in shown], parse_math=False)
    below.invert_yaxis()
    set_time_axis(below, excerpt.start_seconds, excerpt.end_seconds)
    return save_figure(figure, path)


def _window_scores(
    pipeline: Pipeline, excerpt: Excerpt, *, batch_size: int, progress: bool | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of the columns in seconds (n_windows + 1,), and scores (n_windows, n_labels).

    Windows of digital silence have NaN.
    """
    config = pipeline.classifier.config
    samples = excerpt.waveform.numpy()
    window = round(config.window_seconds * excerpt.rate)
    hop = round(config.hop_seconds * excerpt.rate)
    starts = window_starts(len(samples), window=window, hop=hop)
    results = pipeline(
        [samples[start : start + window] for start in starts],
        sample_rate=excerpt.rate,
        batch_size=batch_size,
        progress=progress,
        errors="return",
    )
    if all(result.error is not None for result in results):
        raise AudioError(f"there is nothing to show: {results[0].error}")
    index = {label: i for i, label in enumerate(pipeline.labels)}
    scores = np.full((len(starts), len(index)), np.nan)
    for row, result in zip(scores, results, strict=True):
        for prediction in result.predictions:
            row[index[prediction.label]] = prediction.score
    middles = np.array(starts) + window / 2
    between = (middles[1:] + middles[:-1]) / 2
    edges = np.concatenate(([0], between, [len(samples)])) / excerpt.rate
    return edges + excerpt.start_seconds, scores
