"""Parts of a training step: optimizer, schedule and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soundsep.models import is_head
from soundsep.training.optimizers import new_optimizer
from soundsep.training.recipe import Recipe

__all__ = [
    "average_weights",
    "early_decay",
    "first_layers",
    "make_adamw",
    "make_optimizer",
    "one_cycle",
    "rate_share",
    "weight_pairs",
]


def first_layers(classifier: nn.Module, share: float) -> list[nn.Module]:
    """The first of a classifier's layers that have weights, without its head.

    Args:
        classifier: Classifier, or a module that holds one.
        share: Share of the layers to return, 0 to 1.
    """
    layers = [
        module
        for name, module in classifier.named_modules()
        if not is_head(f"{name}.") and next(module.children(), None) is None
        if next(module.parameters(), None) is not None
    ]
    return layers[: round(share * len(layers))]


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW without weight decay on biases and norms.

    Args:
        model: Module whose trainable parameters are optimised.
        recipe: Settings with the learning rate and the weight decay.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = make_adamw(parameters, rate=recipe.learning_rate, decay=recipe.weight_decay)
    for group in optimizer.param_groups:
        group["peak"] = recipe.learning_rate
    return optimizer


def make_adamw(parameters: Sequence[Tensor], *, rate: float, decay: float) -> torch.optim.Optimizer:
    """AdamW without weight decay on parameters of a single axis: biases and norms.

    Args:
        parameters: Parameters that are optimised.
        rate: Learning rate.
        decay: Weight decay of the others.

    Shape:
        parameters: (...) each, any shape.
    """
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return new_optimizer(torch.optim.AdamW, groups, lr=rate, fused=True)


def rate_share(recipe: Recipe, progress: float) -> float:
    """Share of the peak learning rate.

    Args:
        recipe: Settings with the schedule.
        progress: Share of the run that is over, 0 to 1.
    """
    if recipe.schedule == "step":
        return float(0.1 ** (int(progress * recipe.epochs + 1e-6) // recipe.step_epochs))
    return one_cycle(progress, recipe.warmup)


def one_cycle(progress: float, warmup: float) -> float:
    """Share of the peak learning rate: a cosine up from 1/25 of it, then down to almost nothing.

    Args:
        progress: Share of the run that is over, 0 to 1.
        warmup: Share of the run in which the rate rises, 0 to 1.
    """
    if progress < warmup or warmup >= 1:
        progress = min(progress, warmup)
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / warmup)) / 2
    fall = (progress - warmup) / (1 - warmup)
    return 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * fall)) / 2


def early_decay(decay: float, n_steps: int) -> float:
    """Decay of an average after few steps, with which it leaves its start sooner.

    It rises to ``decay`` as in TensorFlow's ``ExponentialMovingAverage(num_updates=...)``.

    Args:
        decay: Decay after many steps, 0 to 1.
        n_steps: Number of steps so far.
    """
    return min(decay, (1 + n_steps) / (10 + n_steps))


def weight_pairs(ema: nn.Module, model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Each averaged tensor with the current one, to be looked up once for many steps.

    Args:
        ema: Module with the averages.
        model: Module with the current values.

    Shape:
        Returns pairs of (...), the two of a pair alike.
    """
    return [*zip(ema.state_dict().values(), model.state_dict().values(), strict=True)]


@torch.no_grad()
def average_weights(pairs: Sequence[tuple[Tensor, Tensor]], decay: float) -> None:
    """Move averaged weights and batch-norm statistics towards the current ones.

    Args:
        pairs: Averaged tensors, which are changed, with the current ones.
        decay: Share of the averages that is kept, 0 to 1.

    Shape:
        pairs: (...), the two of a pair alike.
    """
    moving = [(average, value) for average, value in pairs if average.is_floating_point()]
    # In few calls: on an accelerator a call costs more than its computation.
    torch._foreach_lerp_([a for a, _ in moving], [v for _, v in moving], 1 - decay)
    for average, value in pairs:
        if not average.is_floating_point():
            average.copy_(value)
