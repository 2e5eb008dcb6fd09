"""One step of training: what a batch costs, and how the weights move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from soundsep.augment import loudest_view, mask, mixup, random_gain
from soundsep.classifier import Classifier
from soundsep.training.recipes import Recipe, Stage
from soundsep.training.teacher import Teacher

__all__ = ["Example", "average_weights", "batch_loss", "make_optimizer", "set_rate"]

Example = tuple[Tensor, int]  # waveform (time,) at the recipe's rate, index of its class


def batch_loss(
    learner: nn.ModuleList,
    teacher: Teacher | None,
    recipe: Recipe,
    stage: Stage,
    batch: Sequence[Example],
    rng: np.random.Generator,
    device: torch.device,
) -> Tensor:
    """What the learner gets wrong on one augmented batch.

    Args:
        learner: The classifier; beside a teacher also the layer from its embedding to theirs.
        teacher: Hears the same waveforms, without the masks.
        recipe: Settings.
        stage: How the clips are cropped.
        batch: Clips.
        rng: Of every augmentation.
        device: Of the learner.
    """
    model = cast(Classifier, learner[0])
    seconds = stage.crop_seconds or model.config.window_seconds
    waveform = torch.stack(
        [
            loudest_view(
                clip,
                round(seconds * model.sample_rate),
                rng=rng,
                n_candidates=stage.n_candidates,
                max_speed=recipe.max_speed,
            )
            for clip, _ in batch
        ]
    ).to(device)
    hot = nn.functional.one_hot(torch.tensor([t for _, t in batch]), len(model.labels))
    targets = hot.to(waveform)
    waveform = random_gain(waveform, max_db=recipe.gain_db, rng=rng)
    waveform, targets = mixup(waveform, targets, probability=recipe.mixup_probability, rng=rng)
    features = model.frontend(waveform)
    for dim, share in ((-2, recipe.frequency_mask), (-1, recipe.time_mask)):
        width = round(share * features.shape[dim])
        features = mask(features, dim=dim, max_width=width, n_masks=2, rng=rng)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
        embedding = model.network.embed(features)
        logits = model.network.head(embedding)
    if teacher is None:
        return nn.functional.cross_entropy(
            logits.float(), targets, label_smoothing=recipe.label_smoothing
        )
    probabilities, wanted = teacher(waveform, bfloat16=recipe.bfloat16)
    targets = torch.lerp(targets, probabilities, recipe.teacher_share)
    regression = nn.functional.mse_loss(learner[1](embedding.float()), wanted)
    return (
        nn.functional.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
        + recipe.embedding_weight * regression
    )


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW without weight decay on biases and norms."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """One-cycle: a cosine up from a 25th of the peak, then a cosine down to almost nothing."""
    if progress < recipe.warmup:
        low, share = 0.04, (1 - math.cos(math.pi * progress / recipe.warmup)) / 2
    else:
        low = 1e-4
        share = (1 + math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup))) / 2
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * (low + (1 - low) * share)


@torch.no_grad()
def average_weights(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights, and the batch-norm statistics, towards the current ones."""
    for average, value in zip(ema.state_dict().values(), model.state_dict().values(), strict=True):
        if average.is_floating_point():
            average.lerp_(value, 1 - decay)
        else:
            average.copy_(value)
