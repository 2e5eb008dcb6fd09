"""Scores of a model over the time of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import Unpack

from soundsep.audio import AudioInput
from soundsep.checkpoints.registry import DEFAULT_EVENT_MODEL
from soundsep.config import check_whole
from soundsep.errors import AudioError, ConfigError
from soundsep.pipeline import Pipeline
from soundsep.pipeline.timeline import Scores
from soundsep.plots.canvas import new_figure, save_figure, set_time_axis, set_title
from soundsep.plots.picture import WIDTH, Picture, PictureOptions
from soundsep.plots.sound import draw_waveform

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_probabilities", "plot_scores"]

MIN_GAP_SECONDS = 1e-6  # smaller gaps are rounding errors


def plot_probabilities(
    audio: AudioInput,
    *,
    model: Pipeline | str | Path = DEFAULT_EVENT_MODEL,
    device: str = "cpu",
    top_k: int = 10,
    batch_size: int = 16,
    progress: bool = True,
    **options: Unpack[PictureOptions],
) -> Figure:
    """Probabilities of the classes over time, below the waveform.

    Each column is a frame of the model, or a window if it has no frames (see
    `soundsep.Pipeline.scores`), drawn around its middle; the shown classes are those with the
    highest peaks. Windows of digital silence stay empty.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        model: A pipeline, or anything `Pipeline.from_pretrained` takes.
        device: Device of a model given by name, such as ``"cpu"`` or ``"cuda"``.
        top_k: Largest number of classes shown, at least 1.
        batch_size: Windows per forward pass.
        progress: Show a progress bar, if there is a terminal.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        AudioError: the recording cannot be read, is too short to analyse, or is digital silence.
        ConfigError: no model has that name, an option is out of range, or ``path`` cannot be
            written.
        WeightsError: the model's files are not available.
        DependencyError: matplotlib is not installed.
    """
    check_whole("top_k", top_k, least=1)
    picture = Picture(audio, 2.5 + 0.3 * top_k, **options)
    pipeline = (
        model if isinstance(model, Pipeline) else Pipeline.from_pretrained(model, device=device)
    )
    excerpt = picture.excerpt(pipeline.sample_rate)
    heard = pipeline.scores(
        excerpt.waveform, sample_rate=excerpt.rate, batch_size=batch_size, progress=progress
    )
    if not heard.values.any():
        raise AudioError("there is nothing to show: the recording is digital silence")
    n_rows = min(top_k, len(heard.labels))
    above, below = picture.figure.subplots(2, sharex=True, height_ratios=(1.2, 0.3 * n_rows + 0.2))
    draw_waveform(above, excerpt)
    above.set_xlabel("")
    _draw_scores(below, heard, n_rows, start_seconds=excerpt.start_seconds)
    return picture.finish(excerpt, below, top=above)


def plot_scores(
    scores: Scores,
    *,
    top_k: int = 10,
    title: str | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Scores of the labels over time, for a recording of any length.

    The shown labels are those with the highest peaks. Windows of digital silence stay empty.

    Args:
        scores: From `soundsep.Pipeline.scores`.
        top_k: Largest number of labels shown, at least 1.
        title: Title of the picture; by default the name of the recording.
        path: File to write, in the format of its ending (png, pdf, svg...).

    Raises:
        ConfigError: there are no scores, ``top_k`` is below 1, or ``path`` cannot be written.
        DependencyError: matplotlib is not installed.
    """
    check_whole("top_k", top_k, least=1)
    if not len(scores.values):
        raise ConfigError("there is nothing to show: the scores hold no window")
    n_rows = min(top_k, len(scores.labels))
    figure = new_figure(path, WIDTH, 1.0 + 0.3 * n_rows)
    axes = figure.subplots()
    set_title(axes, title, scores.path)
    _draw_scores(axes, scores, n_rows)
    set_time_axis(axes, 0.0, scores.duration_seconds)
    return save_figure(figure, path)


def _draw_scores(axes: Axes, scores: Scores, n_rows: int, *, start_seconds: float = 0.0) -> None:
    """A row for each of the labels with the highest peaks, a column for each window or frame."""
    values = scores.values.numpy()
    shown = np.argsort(-values.max(axis=0), kind="stable")[:n_rows]
    heard = np.where(values.any(axis=1, keepdims=True), values, np.nan)[:, shown]
    edges = scores.edges_seconds.numpy()
    if scores.spans_seconds is not None:
        ends = scores.spans_seconds[:-1, 1].numpy()
        (before,) = np.nonzero(ends < edges[1:-1] - MIN_GAP_SECONDS)
        heard = np.insert(heard, before + 1, np.nan, axis=0)  # a column for each gap
        edges = np.insert(edges, before + 1, ends[before])
    edges = edges + start_seconds
    image = axes.pcolormesh(
        edges, np.arange(n_rows + 1) - 0.5, heard.T, cmap="viridis", vmin=0, vmax=1
    )
    axes.figure.colorbar(image, ax=axes, label="probability", pad=0.02)
    axes.set_yticks(range(n_rows), [scores.labels[i] for i in shown], parse_math=False)
    axes.invert_yaxis()
