"""Metrics of a training run for TensorBoard."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soundsep.errors import DependencyError

__all__ = ["epoch_logger"]


@contextmanager
def epoch_logger(
    log_dir: Path | None, name: str | None, comment: str
) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A function that writes the metrics of an epoch below ``log_dir``.

    Args:
        log_dir: Folder of all runs; ``None`` writes nothing.
        name: Name of the run and of its folder.
        comment: Added to the name.

    Raises:
        DependencyError: TensorBoard is not installed.
        ConfigError: the folder cannot be created.
    """
    if log_dir is None:
        yield None
        return
    try:
        tensorboard: Any = importlib.import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise DependencyError(
            f"--log-dir needs TensorBoard, which cannot be imported: {error}; install it with: pip "
            'install "soundsep[train]"'
        ) from error
    from soundsep.training.state import make_folder

    folder = make_folder(log_dir) / "-".join(part for part in (name, comment) if part)
    writer = tensorboard.SummaryWriter(str(folder))

    def log(row: dict[str, Any]) -> None:
        for figure, value in row.items():
            if figure != "epoch":
                writer.add_scalar(figure, value, row["epoch"])
        writer.flush()

    try:
        yield log
    finally:
        writer.close()
