"""Pictures of training and evaluation: curves over the epochs, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundsep.errors import ConfigError
from soundsep.files import parse_json, read_json_lines
from soundsep.names import local_path
from soundsep.plots.canvas import count_axis, new_figure, save_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from soundsep.evaluation import Evaluation
    from soundsep.training import FitReport

__all__ = ["plot_confusion", "plot_curves"]

# Okabe and Ito (2008): distinguishable with any kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")
SCORES = ("accuracy", "precision", "recall", "f1", "map", "auc")
NOT_DRAWN = ("epoch", "seconds")
MAX_CLASSES_WITH_COUNTS = 100
MAX_INCHES = 40.0


def plot_curves(
    run: str | Path, *, title: str | None = None, path: str | Path | None = None
) -> Figure:
    """Losses, scores and all other numbers that a training run recorded, over its epochs.

    Losses share one panel and scores (accuracy, precision, recall, F1...) another; any other
    number, such as a learning rate, has a panel of its own. The seconds of an epoch are left out.

    Args:
        run: Folder of the run, or its ``metrics.jsonl``.
        title: Title of the picture; by default the name of the folder.
        path: File to write, in the format of its ending (png, pdf, svg...).

    Raises:
        DependencyError: matplotlib is not installed.
        ConfigError: there are no metrics, or ``path`` cannot be written.
    """
    run = local_path(run)
    rows = _read_metrics(run)
    names = dict.fromkeys(name for row in rows for name, value in row.items() if _is_number(value))
    groups: dict[str, list[str]] = {}
    for name in names:
        if name not in NOT_DRAWN:
            groups.setdefault(_panel(name), []).append(name)
    if not groups:
        raise ConfigError(f"{run} holds no numbers to draw beside the epochs")
    figure = new_figure(path, 8.0, 0.8 + 2.7 * len(groups))
    panels = figure.subplots(len(groups), sharex=True, squeeze=False)[:, 0]
    for axes, (label, columns) in zip(panels, sorted(groups.items(), key=_order), strict=True):
        _draw_curves(axes, rows, columns)
        axes.set_ylabel(label)
    panels[-1].set_xlabel("epoch")
    count_axis(panels[-1].xaxis)
    folder = run.resolve()
    set_title(panels[0], title, folder if folder.is_dir() else folder.parent)
    return save_figure(figure, path)


def _read_metrics(run: Path) -> list[dict[str, Any]]:
    file = run / "metrics.jsonl" if run.is_dir() else run
    try:
        rows = read_json_lines(file)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file} cannot be read as metrics of a training run ({error}); expected one JSON "
            "object per line, as `soundsep train` writes them"
        ) from error
    if not rows or not all(isinstance(row, dict) and _is_number(row.get("epoch")) for row in rows):
        raise ConfigError(f"{file}: expected one JSON object with an epoch per line, at least one")
    return rows


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _panel(name: str) -> str:
    if "loss" in name:
        return "loss"
    return "score" if any(word in name.split("_") for word in SCORES) else name.replace("_", " ")


def _order(group: tuple[str, list[str]]) -> int:
    return {"loss": 0, "score": 1}.get(group[0], 2)


def _draw_curves(axes: Axes, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        # Some numbers are not recorded every epoch: the line joins those that are.
        points = [(row["epoch"], row[name]) for row in rows if _is_number(row.get(name))]
        axes.plot(
            *zip(*points, strict=True),
            label=name.replace("_", " "),
            color=COLOURS[i % len(COLOURS)],
            linestyle=STYLES[i % len(STYLES)],
            marker="o" if len(points) <= 30 else "",
            markersize=3.5,
        )
    axes.legend()
    axes.grid(alpha=0.3)


def plot_confusion(
    evaluation: Evaluation | FitReport | str | Path,
    *,
    title: str | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Confusion matrix: how often each class was predicted as each class.

    A cell's colour is its share of the row, so that rare classes can be read like common ones; its
    number is the count. The picture grows with the number of classes.

    Args:
        evaluation: An `Evaluation` or a `FitReport`, or the file that its ``save``,
            ``soundsep evaluate`` or ``soundsep fit`` wrote.
        title: Title of the picture; by default the number of clips and the accuracy.
        path: File to write, in the format of its ending (png, pdf, svg...).

    Raises:
        DependencyError: matplotlib is not installed.
        ConfigError: the file holds no confusion matrix, or ``path`` cannot be written.
    """
    if isinstance(evaluation, (str, Path)):
        labels, counts = _read_confusion(local_path(evaluation))
    else:
        labels, counts = evaluation.labels, evaluation.confusion
    n = len(labels)
    size = min(3.0 + max(0.25, 0.5 - n / 100) * n, MAX_INCHES)
    figure = new_figure(path, size, size - 0.5)  # the bar of colours takes width only
    axes = figure.add_subplot()
    per_class = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(per_class, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.5, pad=0.02)
    cell = 72 * (size - 3) / n  # points
    font = min(10.0, 0.6 * cell)
    axes.set_xticks(range(n), labels, rotation=90, fontsize=font, parse_math=False)
    axes.set_yticks(range(n), labels, fontsize=font, parse_math=False)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    if n <= MAX_CLASSES_WITH_COUNTS:
        for between in np.arange(n - 1) + 0.5:
            axes.axhline(between, color="0.85", linewidth=0.5)
            axes.axvline(between, color="0.85", linewidth=0.5)
        font = min(font, 1.5 * cell / len(str(counts.max())))  # a digit is 0.6 of it wide
        for i, j in np.argwhere(counts):
            colour = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, counts[i, j], ha="center", va="center", color=colour, fontsize=font)
    right = np.trace(counts) / counts.sum()
    default = f"{counts.sum()} clips, accuracy {right:.1%}"
    set_title(axes, default if title is None else title, None)
    return save_figure(figure, path)


def _read_confusion(file: Path) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    try:
        data = parse_json(file.read_text("utf-8"))
        # The report of a fit has more than a name for each class.
        names = data["labels"] if "classes" not in data else [c["label"] for c in data["classes"]]
        labels = tuple(map(str, names))
        counts = np.array(data["confusion"], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ConfigError(
            f"{file} cannot be read as an evaluation: {reason}; expected the JSON file that "
            "`soundsep evaluate` or `soundsep fit` writes"
        ) from error
    if counts.shape != (len(labels), len(labels)) or counts.min() < 0 or not counts.any():
        raise ConfigError(
            f"{file}: expected counts of every pair of its {len(labels)} labels, got shape "
            f"{counts.shape}"
        )
    return labels, counts
