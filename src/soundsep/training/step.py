"""How weights, and their averages, move in a step."""

from __future__ import annotations

import math

import torch
from torch import nn

from soundsep.models import is_head
from soundsep.training.recipe import Recipe

__all__ = [
    "average_weights",
    "early_decay",
    "first_layers",
    "make_optimizer",
    "one_cycle",
    "rate_share",
]


def first_layers(classifier: nn.Module, share: float) -> list[nn.Module]:
    """The first ``share`` of a classifier's layers that have weights, its head not counted."""
    layers = [
        module
        for name, module in classifier.named_modules()
        if not is_head(f"{name}.") and next(module.children(), None) is None
        if next(module.parameters(), None) is not None
    ]
    return layers[: round(share * len(layers))]


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW without weight decay on biases and norms."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    peak = recipe.learning_rate
    groups = [
        {
            "params": [p for p in parameters if p.ndim > 1],
            "weight_decay": recipe.weight_decay,
            "peak": peak,
        },
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "peak": peak},
    ]
    return torch.optim.AdamW(groups, lr=peak, fused=True)


def rate_share(recipe: Recipe, progress: float) -> float:
    """Share of the peak learning rate at a point of the run, 0 at its start and 1 at its end."""
    if recipe.schedule == "step":
        return float(0.1 ** (int(progress * recipe.epochs + 1e-6) // recipe.step_epochs))
    return one_cycle(progress, recipe.warmup)


def one_cycle(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at a point of the run, 0 to 1, of which ``warmup`` rises.

    A cosine up from a 25th of the peak, then a cosine down to almost nothing.
    """
    if progress < warmup:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / warmup)) / 2
    fall = (progress - warmup) / (1 - warmup)
    return 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * fall)) / 2


def early_decay(decay: float, n_steps: int) -> float:
    """Decay of an average over so few steps that the full one would hardly leave the start.

    It rises to ``decay`` as in TensorFlow's ``ExponentialMovingAverage(num_updates=...)``.
    """
    return min(decay, (1 + n_steps) / (10 + n_steps))


@torch.no_grad()
def average_weights(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights, and the batch-norm statistics, towards the current ones."""
    pairs = [*zip(ema.state_dict().values(), model.state_dict().values(), strict=True)]
    moving = [(average, value) for average, value in pairs if average.is_floating_point()]
    # In few calls: on an accelerator each call costs more than what it computes.
    torch._foreach_lerp_([a for a, _ in moving], [v for _, v in moving], 1 - decay)
    for average, value in pairs:
        if not average.is_floating_point():
            average.copy_(value)
