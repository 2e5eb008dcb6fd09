"""The training loop: seeded, resumable after every epoch, with averaged weights."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.datasets.seed import check_seed
from soundsep.devices import to_device
from soundsep.errors import ConfigError, DatasetError
from soundsep.files import digest, write_json, write_json_lines
from soundsep.models import is_head
from soundsep.progress import progress_bar
from soundsep.training.epoch import held_out_metrics, run_epoch
from soundsep.training.fixed_features import fixed_features
from soundsep.training.recipe import Recipe
from soundsep.training.state import load_state, make_folder, save_state
from soundsep.training.step import (
    Example,
    average_weights,
    check_examples,
    examples_digest,
    first_layers,
    make_optimizer,
)
from soundsep.training.teacher import Teacher

__all__ = ["Example", "train"]


def train(
    recipe: Recipe,
    *,
    labels: Sequence[str],
    training: Sequence[Example],
    held_out: Sequence[Example],
    output: str | Path,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    initial: Classifier | None = None,
    teacher: Classifier | None = None,
    cache: Path | None = None,
) -> tuple[Classifier, Classifier]:
    """Train a network, or go on where a killed run of the same settings stopped.

    All randomness of an epoch follows from the seed and the epoch's number, so a resumed run ends
    with the same weights as one that was never interrupted (same machine, same thread count).
    Nothing is chosen by the held-out accuracy: it is only written down.

    Args:
        recipe: Settings.
        labels: Names of the classes, in the order of the targets.
        training: Clips to learn from.
        held_out: Clips to report on, never learnt from; may be empty.
        output: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        seed: Of the initial weights, the order of the clips and every augmentation.
        device: Where to train.
        progress: Show progress bars.
        on_epoch: Called with the figures of every epoch when it is over.
        initial: Classifier of the same labels whose weights the training starts from; it is left
            as it is. Its frontend, network and windows hold then, and not the recipe's; its
            temperature and ``unknown_below`` do not.
        teacher: Classifier of the same labels whose answers are learnt as well.
        cache: Folder to keep features in for later runs, where no waveform is augmented.

    Returns:
        The model after the last step, and the one with exponentially averaged weights.

    Raises:
        ConfigError: ``output`` cannot be made, or holds a run with other settings or other clips,
            there is no such device, the seed is not one, ``initial`` or ``teacher`` does not fit,
            or the recipe has a teacher and none is given.
        DatasetError: there are fewer than two training clips, or a target is not that of a label.
        ShapeError: a waveform is not (time,) in float32, or holds no samples.
        WeightsError: the state in ``output`` is damaged, or the training diverged.
    """
    if len(training) < 2:
        raise DatasetError(f"training needs at least 2 clips, got {len(training)}")
    check_seed(seed)
    check_examples([*training, *held_out], n_labels=len(labels))
    _check_helpers(recipe, labels, initial, teacher)
    if initial is not None:  # so that what is written down of the run is true
        recipe = recipe.replace(
            network=initial.config.network,
            frontend=initial.config.frontend,
            window_seconds=initial.config.window_seconds,
        )
    folder = make_folder(output)
    settings = {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "labels": list(labels),
        # Without this a run could go on with another fold, and learn what it is judged on.
        "training_sha256": examples_digest(training),
        # A head that was fitted to these clips is left out: another number of threads fits it
        # anew with other last digits.
        "initial_sha256": _weights_digest(initial, without_head=recipe.backbone is not None),
        "teacher_sha256": _weights_digest(teacher, without_head=True),
    }
    config = ClassifierConfig(
        labels=tuple(labels),
        network=recipe.network,
        frontend=recipe.frontend,
        window_seconds=recipe.window_seconds,
        hop_seconds=recipe.window_seconds / 2,
    )
    if initial is not None:
        config = initial.config.replace(temperature=1.0, unknown_below=None, thresholds=None)
    with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator
        torch.manual_seed(seed)
        model = to_device(Classifier(config), device)
        if initial is not None:
            model.load_state_dict(initial.state_dict())
        guide = None
        learner = nn.ModuleList([model])  # and what else learns, but is no part of the result
        if teacher is not None:
            guide = Teacher(
                to_device(copy.deepcopy(teacher), device),
                [waveform for waveform, _ in training],
                sample_rate=model.sample_rate,
            )
            learner.append(nn.Linear(model.network.embedding_dim, guide.embedding_dim).to(device))
    ema = copy.deepcopy(model).requires_grad_(requires_grad=False).eval()
    for layer in first_layers(model, recipe.frozen_share):
        layer.requires_grad_(requires_grad=False)
    optimizer = make_optimizer(learner, recipe)
    rows: list[dict[str, Any]] = []
    state = folder / "state.safetensors"
    if state.is_file():
        rows = load_state(state, settings=settings, model=learner, ema=ema, optimizer=optimizer)
    write_json(folder / "recipe.json", settings)
    # A kill can come between the state and the metrics.
    write_json_lines(folder / "metrics.jsonl", rows)

    fixed = fixed_features(model, recipe, training, cache=cache, progress=progress)
    bar = progress_bar(
        range(recipe.epochs), initial=len(rows), unit="epoch", progress=progress, desc="training"
    )
    for epoch in range(len(rows), recipe.epochs):
        began = time.perf_counter()
        loss = run_epoch(
            learner, ema, guide, optimizer, recipe, epoch, training, seed, progress, fixed
        )
        row: dict[str, Any] = {"epoch": epoch + 1, "training_loss": round(loss, 6)}
        is_last = epoch + 1 == recipe.epochs
        if is_last and recipe.initial_share and initial is not None:
            start = to_device(copy.deepcopy(initial), device)
            average_weights(ema, start, 1 - recipe.initial_share)
        if held_out and (is_last or (epoch + 1) % recipe.report_every == 0):
            row |= held_out_metrics(ema, held_out)
            if recipe.ema_decay:
                row["held_out_accuracy_last"] = held_out_metrics(model, held_out)[
                    "held_out_accuracy"
                ]
        row["seconds"] = round(time.perf_counter() - began, 2)
        rows.append(row)
        notes = {"settings": settings, "metrics": rows}
        save_state(state, model=learner, ema=ema, optimizer=optimizer, notes=notes)
        write_json_lines(folder / "metrics.jsonl", rows)
        if on_epoch is not None:
            on_epoch(row)
        bar.set_postfix({k: v for k, v in row.items() if k not in ("epoch", "seconds")})
        bar.update()
    bar.close()
    return (
        model.requires_grad_(requires_grad=True).eval(),
        ema.requires_grad_(requires_grad=True),
    )


def _weights_digest(model: Classifier | None, *, without_head: bool) -> str | None:
    if model is None:
        return None
    parts: list[str | Tensor] = [json.dumps(model.config.to_dict())]
    for name, value in model.state_dict().items():
        if not (without_head and is_head(name)):
            parts += (name, value)
    return digest(*parts)


def _check_helpers(
    recipe: Recipe, labels: Sequence[str], initial: Classifier | None, teacher: Classifier | None
) -> None:
    for name, helper in (("initial classifier", initial), ("teacher", teacher)):
        if helper is not None and helper.labels != tuple(labels):
            raise ConfigError(f"the {name} knows other labels, or in another order")
    if recipe.backbone is not None and initial is None:
        raise ConfigError(f"recipe {recipe.name!r} starts from {recipe.backbone!r}; none is given")
    if (recipe.teacher is None) != (teacher is None):
        raise ConfigError(
            f"recipe {recipe.name!r} needs the teacher {recipe.teacher!r}; none is given"
            if teacher is None
            else f"recipe {recipe.name!r} has no teacher, but one is given"
        )
