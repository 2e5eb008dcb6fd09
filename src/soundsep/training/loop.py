"""The training loop: resumable after every round, with averaged weights and a schedule."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from soundsep.errors import WeightsError
from soundsep.files import write_json, write_json_lines
from soundsep.progress import progress_bar
from soundsep.training.state import load_state, save_state
from soundsep.training.step import average_weights, weight_pairs

__all__ = ["RunState", "Task", "run_task"]

Batch = TypeVar("Batch")


@dataclass(kw_only=True)
class RunState:
    """State of a run, saved after every round.

    Attributes:
        learner: Module of all weights that are trained.
        model: Part of the learner that is the result, whose weights are averaged.
        ema: Copy of the model with averaged weights.
        optimizer: Optimizer whose groups have a ``"peak"``, the highest learning rate.
        rows: Metrics of every round so far.
    """

    learner: nn.Module
    model: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    rows: list[dict[str, Any]] = field(default_factory=list)


class Task(ABC, Generic[Batch]):
    """One kind of training; `run_task` does what all kinds have in common.

    All random numbers of a round must follow from its first step, so that a resumed run ends with
    the same weights as an uninterrupted one.

    Attributes:
        n_steps: Number of steps of the whole run.
        round_steps: Steps per round, after which metrics and state are saved.
        max_gradient: Norm at which gradients are clipped; ``None`` leaves them as they are.
    """

    n_steps: int
    round_steps: int
    max_gradient: float | None = None

    def resume(self, row: dict[str, Any]) -> None:
        """Called first, if an interrupted run is resumed.

        Args:
            row: The metrics of its last round.
        """
        return

    def prepare(self) -> None:
        """Called once before the first round, unless the run is finished."""
        return

    @abstractmethod
    def batches(self, steps: range) -> AbstractContextManager[Iterable[Batch]]:
        """One batch for each step of a round.

        Args:
            steps: Steps of the round.

        Returns:
            A context manager of the batches, open while the round lasts.
        """

    @abstractmethod
    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and its parts, whose means `row` gets.

        Args:
            batch: One of the batches.

        Shape:
            Returns () and, detached, (n_parts,).
        """

    def is_over(self, step: int) -> bool:
        """Whether the run ends before this step, since its time is up.

        Args:
            step: Number of the step.
        """
        return False

    @abstractmethod
    def rate(self, step: int) -> float:
        """Share of the peak learning rate in a step, counted from 0."""

    @abstractmethod
    def decay(self, step: int) -> float:
        """Decay of the averaged weights after a step, counted from 0."""

    @abstractmethod
    def row(self, steps: range, means: list[float]) -> dict[str, Any]:
        """The metrics of a round, as plain JSON types.

        Args:
            steps: Steps of the round.
            means: Mean of each part of the loss.
        """


def run_task(
    task: Task[Any],
    state: RunState,
    *,
    folder: Path,
    settings: dict[str, Any],
    progress: bool,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Train, or resume an interrupted run with the same settings.

    Args:
        task: Kind of training.
        state: State at the start of the run; changed in place.
        folder: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        settings: All that the run depends on, as plain JSON types.
        progress: Show a progress bar.
        on_row: Called with the metrics of every round at its end.

    Raises:
        ConfigError: ``folder`` holds a run with other settings; nothing is changed then.
        WeightsError: the state there is damaged or cannot be written, or the training diverged.
    """
    path = folder / "state.safetensors"
    parts = {"model": state.learner, "ema": state.ema, "optimizer": state.optimizer}
    if path.is_file():
        state.rows = load_state(path, settings=settings, **parts)  # type: ignore[arg-type]  # by name
        task.resume(state.rows[-1])
    write_json(folder / "recipe.json", settings)
    # A kill can come between the state and the metrics.
    write_json_lines(folder / "metrics.jsonl", state.rows)
    first = min(len(state.rows) * task.round_steps, task.n_steps)
    if first < task.n_steps:
        task.prepare()
    with progress_bar(
        total=task.n_steps, initial=first, unit="step", progress=progress, desc="training"
    ) as bar:
        for start in range(first, task.n_steps, task.round_steps):
            if task.is_over(start):
                break
            began = time.perf_counter()
            steps = range(start, min(start + task.round_steps, task.n_steps))
            means = _run_round(task, state, steps, bar)
            row = task.row(range(start, start + means.n_steps), means.parts)
            row["seconds"] = round(time.perf_counter() - began, 2)
            state.rows.append(row)
            notes = {"settings": settings, "metrics": state.rows}
            save_state(path, notes=notes, **parts)  # type: ignore[arg-type]  # by name
            write_json_lines(folder / "metrics.jsonl", state.rows)
            if on_row is not None:
                on_row(row)
            bar.set_postfix({k: v for k, v in row.items() if k != "seconds"})


class _Means(NamedTuple):
    n_steps: int
    parts: list[float]


def _run_round(task: Task[Any], state: RunState, steps: range, bar: Any) -> _Means:
    """Train for these steps, or until the run is over; the mean of each part of the loss."""
    n_steps = 0
    sums: Tensor | None = None
    pairs = weight_pairs(state.ema, state.model)
    parameters = [*state.learner.parameters()]
    with task.batches(steps) as batches:
        for step, batch in zip(steps, batches, strict=True):
            if n_steps and task.is_over(step):
                break
            for group in state.optimizer.param_groups:
                group["lr"] = group["peak"] * task.rate(step)
            loss, parts = task.loss(batch)
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
            is_finite = loss.isfinite()
            if task.max_gradient is not None:
                norm = nn.utils.clip_grad_norm_(parameters, task.max_gradient)
                is_finite = is_finite & norm.isfinite()
            _check(bool(is_finite), step)
            state.optimizer.step()
            average_weights(pairs, task.decay(step))
            parts = parts.cpu()
            sums = parts if sums is None else sums + parts
            n_steps += 1
            bar.update()
    _check(all(bool(w.isfinite().all()) for w in state.learner.state_dict().values()), steps[-1])
    assert sums is not None
    return _Means(n_steps, [float(value) / n_steps for value in sums])


def _check(is_finite: bool, step: int) -> None:
    if not is_finite:
        raise WeightsError(f"the training diverged at step {step + 1}; lower learning_rate")
