"""When sounds occurred in a season: hours by days."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundsep.config import check_whole
from soundsep.errors import ConfigError
from soundsep.names import did_you_mean
from soundsep.pipeline.summary import EventSummary, Hour
from soundsep.plots.canvas import count_axis, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_season"]

WIDTH, HEIGHT = 8.0, 2.6  # inches; the height is that of one label
MAX_PANELS = 24
MAX_COLUMNS = 400  # of a panel; narrower ones fall between the pixels
NOT_RECORDED = "#d9d9d9"


def plot_season(
    summary: EventSummary,
    *,
    labels: Sequence[str] | None = None,
    top_k: int = 4,
    title: str | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Number of events that began in each hour of each day, in one panel per label.

    Hours in which nothing was recorded are grey, if the summary knows them. Of more than 400 days,
    a column is several days together.

    Args:
        summary: From `soundsep.pipeline.summarize`.
        labels: Labels to show; by default the most frequent.
        top_k: Number of labels if ``labels`` is not given.
        title: Title of the picture; none by default.
        path: File to write, in the format of its ending (png, pdf, svg...).

    Raises:
        ConfigError: a label does not occur, no event has a time of day, an option is out of range,
            or ``path`` cannot be written.
        DependencyError: matplotlib is not installed.
    """
    if check_whole("top_k", top_k, least=1) > MAX_PANELS:
        raise ConfigError(f"top_k must be at most {MAX_PANELS} in one picture, got {top_k}")
    timed = [label for label in summary.labels if summary.counts.get(label)]
    shown = timed[:top_k] if labels is None else list(labels)[:MAX_PANELS]
    for label in shown:
        if label not in timed:
            raise ConfigError(f"no event {label!r} has a time of day{did_you_mean(label, timed)}")
    if not shown:
        raise ConfigError(
            "there is nothing to show: no event has a time of day; name recordings as their "
            "recorders do, or say how their names state the time (--time-pattern)"
        )
    figure = new_figure(path, WIDTH, 0.4 + HEIGHT * len(shown))
    panels = figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0]
    for axes, label in zip(panels, shown, strict=True):
        _draw(axes, summary, label)
    if title is not None:
        figure.suptitle(title, parse_math=False)
    return save_figure(figure, path)


def _draw(axes: Axes, summary: EventSummary, label: str) -> None:
    import matplotlib.dates
    from matplotlib.ticker import MultipleLocator

    dates: Any = matplotlib.dates  # which has no types
    days = summary.days
    n_joined = math.ceil(len(days) / MAX_COLUMNS)  # days of a column
    n_columns = math.ceil(len(days) / n_joined)
    edges = dates.date2num(days[0]) + n_joined * np.arange(n_columns + 1)
    columns = {day: i // n_joined for i, day in enumerate(days)}
    shown = _grid(columns, summary.counts[label])
    counts = np.ma.masked_array(shown, _unheard(summary, columns))
    axes.set_facecolor(NOT_RECORDED)
    image = axes.pcolormesh(edges, np.arange(25), counts, cmap="viridis", vmin=0)
    counted = "events" if n_joined == 1 else f"events in {n_joined} days"
    bar = axes.figure.colorbar(image, ax=axes, label=counted, pad=0.02)
    count_axis(bar.ax.yaxis)
    axes.set_title(label, parse_math=False)
    axes.set_ylabel("hour")
    axes.set_ylim(24, 0)
    axes.yaxis.set_major_locator(MultipleLocator(6))
    locator = dates.AutoDateLocator(minticks=1, maxticks=10)
    locator.intervald[3] = [1, 2, 3, 7, 14]  # days; never hours, of which there is an axis
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _grid(columns: Mapping[date, int], cells: Mapping[Hour, float]) -> NDArray[np.float64]:
    """A row for each hour, and the columns of the days."""
    grid = np.zeros((24, max(columns.values()) + 1))
    for (day, hour), n in cells.items():
        grid[hour, columns[day]] += n
    return grid


def _unheard(summary: EventSummary, columns: Mapping[date, int]) -> NDArray[np.bool_]:
    """Hours in which nothing was recorded and no event began."""
    if not summary.recorded:
        return np.zeros_like(_grid(columns, {}), dtype=bool)
    heard = sum(_grid(columns, cells) for cells in summary.counts.values())
    return (_grid(columns, summary.recorded) <= 0) & (heard <= 0)
