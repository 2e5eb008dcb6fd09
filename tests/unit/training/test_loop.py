from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from torch import nn

from soundsep.errors import WeightsError
from soundsep.training import loop
from soundsep.training.loop import RunState, Task, run_task


class Line(Task[float]):
    """A weight goes down a slope, ``slope`` steep, with plain gradient descent."""

    n_steps, round_steps = 5, 2

    def __init__(self, model: nn.Linear, *, slope: float = 1.0, max_gradient=None) -> None:
        self.model, self.slope, self.max_gradient = model, slope, max_gradient
        self.heard: list[int] = []
        self.n_prepared = 0
        self.resumed: dict | None = None

    def resume(self, row):
        self.resumed = row

    def prepare(self):
        self.n_prepared += 1

    @contextmanager
    def batches(self, steps):
        yield map(float, steps)

    def loss(self, batch):
        self.heard.append(int(batch))
        loss = self.slope * self.model.weight.sum()
        return loss, torch.tensor([batch, loss.item()], dtype=torch.float64)

    def rate(self, step):
        return 1 - step / self.n_steps

    def decay(self, step):
        return 0.5

    def row(self, steps, means):
        return {"step": steps.stop, "batch": means[0], "loss": means[1]}


def start(**settings) -> tuple[Line, RunState]:
    model, ema = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for module in (model, ema):
        nn.init.zeros_(module.weight)
    optimizer = torch.optim.SGD([{"params": [*model.parameters()], "peak": 0.5}])
    return Line(model, **settings), RunState(
        learner=model, model=model, ema=ema, optimizer=optimizer
    )


def run(folder, on_row=None, **settings) -> tuple[Line, RunState]:
    task, state = start(**settings)
    run_task(task, state, folder=folder, settings={}, progress=False, on_row=on_row)
    return task, state


def test_every_step_moves_by_its_rate_and_the_average_follows(tmp_path):
    seen = []
    task, state = run(tmp_path, on_row=seen.append)
    assert (task.heard, task.resumed) == ([0, 1, 2, 3, 4], None)
    # Peak .5, shares 1, .8, .6, .4, .2.
    assert state.model.weight.item() == pytest.approx(-1.5)
    average = weight = 0.0
    for share in (1.0, 0.8, 0.6, 0.4, 0.2):
        weight -= 0.5 * share
        average = (average + weight) / 2
    assert state.ema.weight.item() == pytest.approx(average)
    assert seen == state.rows
    assert all(row["seconds"] >= 0 for row in seen)
    figures = [(row["step"], row["batch"], pytest.approx(row["loss"])) for row in state.rows]
    assert figures == [(2, 0.5, -0.25), (4, 2.5, -1.05), (5, 4.0, -1.4)]  # the last round is short


@pytest.mark.parametrize("n_rounds", [1, 2])
def test_a_run_goes_on_after_its_last_round(tmp_path, monkeypatch, n_rounds):
    def stop(row):
        if row["step"] == 2 * n_rounds:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_row=stop)
    task, state = run(tmp_path)
    assert task.heard == [*range(2 * n_rounds, 5)]
    assert task.resumed == state.rows[n_rounds - 1]  # such as the time it has taken so far
    assert state.model.weight.item() == pytest.approx(-1.5)
    assert [row["step"] for row in state.rows] == [2, 4, 5]
    finished, again = run(tmp_path)
    assert (finished.heard, finished.n_prepared) == ([], 0)
    assert torch.equal(again.ema.weight, state.ema.weight)


@pytest.mark.parametrize(("n_steps", "rows"), [(2, [(2, 0.5)]), (3, [(2, 0.5), (3, 2.0)])])
def test_a_run_whose_time_is_up_ends_there_and_counts_what_was_done(tmp_path, n_steps, rows):
    task, state = start()
    task.is_over = lambda step: step >= n_steps
    run_task(task, state, folder=tmp_path, settings={}, progress=False)
    assert task.heard == [*range(n_steps)]
    assert [(row["step"], row["batch"]) for row in state.rows] == rows


def test_a_round_that_was_begun_has_a_step(tmp_path):
    """The time may be up between the two."""
    task, state = start()
    asked: list[int] = []
    task.is_over = lambda step: asked.append(step) or len(asked) > 1
    run_task(task, state, folder=tmp_path, settings={}, progress=False)
    assert [row["step"] for row in state.rows] == [1]


class Bar(AbstractContextManager):
    def __init__(self, **settings) -> None:
        self.n, self.total = settings["initial"], settings["total"]
        self.notes: list[set[str]] = []

    def __exit__(self, *_) -> None:
        pass

    def update(self) -> None:
        self.n += 1

    def set_postfix(self, notes) -> None:
        self.notes.append(set(notes))


def test_the_bar_goes_on_where_the_run_does(tmp_path, monkeypatch):
    bars: list[Bar] = []
    monkeypatch.setattr(loop, "progress_bar", lambda **given: bars.append(Bar(**given)) or bars[-1])
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, on_row=lambda row: 1 / 0)
    run(tmp_path)
    assert [(bar.n, bar.total) for bar in bars] == [(2, 5), (5, 5)]
    assert bars[1].notes == [{"step", "batch", "loss"}] * 2


def test_gradients_are_clipped_where_the_task_says_so(tmp_path):
    _, state = run(tmp_path, slope=10.0, max_gradient=1.0)
    assert state.model.weight.item() == pytest.approx(-1.5, rel=1e-4)


@pytest.mark.parametrize("max_gradient", [None, 1.0])
def test_a_slope_without_end_is_told_with_its_step(tmp_path, max_gradient):
    with pytest.raises(WeightsError, match="diverged at step 1;"):
        run(tmp_path, slope=float("inf"), max_gradient=max_gradient)
    assert not (tmp_path / "state.safetensors").exists()


def test_weights_that_the_last_step_of_a_round_ruined_are_not_saved(tmp_path):
    with pytest.raises(WeightsError, match="diverged at step"):
        run(tmp_path, slope=3e38)  # a finite loss, an infinite weight
    assert not (tmp_path / "state.safetensors").exists()


@pytest.mark.parametrize("n_rounds", [1, 3])  # after the last, nothing else would write them
def test_nothing_is_lost_where_the_metrics_were_not_written(tmp_path, monkeypatch, n_rounds):
    def killed(path, rows):
        if len(rows) == n_rounds:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_json_lines", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    run(tmp_path)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3
