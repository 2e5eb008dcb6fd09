"""One epoch of training, and what a model is worth after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from soundsep.classifier import Classifier
from soundsep.classifier.scoring import score_waveforms
from soundsep.datasets import balanced_order, class_weights
from soundsep.errors import WeightsError
from soundsep.metrics import classification_metrics, confusion_matrix
from soundsep.progress import progress_bar
from soundsep.training.recipe import Recipe
from soundsep.training.step import (
    Example,
    average_weights,
    batch_loss,
    early_decay,
    first_layers,
    set_rate,
)
from soundsep.training.teacher import Teacher

__all__ = ["held_out_metrics", "run_epoch"]


def run_epoch(
    learner: nn.ModuleList,
    ema: Classifier,
    teacher: Teacher | None,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    epoch: int,
    training: Sequence[Example],
    seed: int,
    progress: bool,
    fixed: Sequence[Tensor] | None = None,
) -> float:
    """All clips once, or as often as the recipe has variants; returns the mean loss.

    All randomness follows from the seed and the number of the epoch. ``fixed`` are the features of
    the clips, where they never change.

    Raises:
        WeightsError: the training diverged.
    """
    rng = np.random.default_rng((seed, epoch))
    stage = recipe.stage_at(epoch)
    targets = [target for _, target in training]
    order = np.concatenate(
        [
            balanced_order(targets, rng)
            if recipe.balance == "sampler"
            else rng.permutation(len(training))
            for _ in range(recipe.n_variants)
        ]
    )
    n_steps = max(1, len(order) // recipe.batch_size)  # a tiny last batch is left out
    device = next(ema.parameters()).device
    model = cast(Classifier, learner[0])
    weight: Tensor | None = None
    if recipe.balance == "weights":
        weight = class_weights(targets, n_classes=len(model.labels)).to(device)
    _set_modes(learner, recipe)
    total = 0.0
    with torch.random.fork_rng(devices=[]):  # for networks with dropout
        torch.manual_seed(int(rng.integers(2**62)))
        steps = progress_bar(
            range(n_steps), progress=progress, leave=False, desc=f"epoch {epoch + 1}"
        )
        for step in steps:
            chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            batch = [training[i] for i in chosen]
            set_rate(optimizer, recipe, (epoch * n_steps + step) / (recipe.epochs * n_steps))
            features = None if fixed is None else [fixed[i] for i in chosen]
            loss = batch_loss(learner, teacher, recipe, stage, batch, rng, device, weight, features)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
            optimizer.step()
            n_done = epoch * n_steps + step + 1
            average_weights(ema, model, early_decay(recipe.ema_decay, n_done))
            total += loss.item()
    weights = learner.state_dict().values()
    if not math.isfinite(total) or not all(bool(w.isfinite().all()) for w in weights):
        raise WeightsError(f"the training diverged in epoch {epoch + 1}; lower learning_rate")
    return total / n_steps


def _set_modes(learner: nn.ModuleList, recipe: Recipe) -> None:
    """Everything learns but what the recipe says is to stay as it is."""
    learner.train()
    for layer in first_layers(learner[0], recipe.frozen_share):
        layer.eval()
    if recipe.freeze_batch_norm:
        for module in learner.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def held_out_metrics(model: Classifier, clips: Sequence[Example]) -> dict[str, float]:
    """Loss, accuracy and the macro-averaged figures on clips that were not learnt from."""
    was_training = model.training
    model.eval()
    scores = torch.stack([*score_waveforms(model, (clip for clip, _ in clips), batch_size=32)])
    model.train(was_training)
    targets = torch.tensor([target for _, target in clips])
    loss = nn.functional.nll_loss(scores.clamp(min=1e-30).log(), targets)
    confusion = confusion_matrix(
        targets.numpy(), scores.argmax(dim=1).cpu().numpy(), n_classes=len(model.labels)
    )
    metrics = classification_metrics(confusion)
    figures = {
        "loss": float(loss),
        "accuracy": metrics.accuracy,
        "macro_precision": metrics.macro_precision,
        "macro_recall": metrics.macro_recall,
        "macro_f1": metrics.macro_f1,
    }
    return {f"held_out_{name}": round(value, 6) for name, value in figures.items()}
