"""One step of training: what a batch costs, and how the weights move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from soundsep.audio.windows import pad_to
from soundsep.augment import Augment, loudest_view
from soundsep.classifier import Classifier
from soundsep.errors import DatasetError, ShapeError
from soundsep.files import digest
from soundsep.models import is_head
from soundsep.training.recipe import Recipe, Stage
from soundsep.training.teacher import Teacher

__all__ = [
    "Example",
    "average_weights",
    "batch_loss",
    "check_examples",
    "early_decay",
    "examples_digest",
    "first_layers",
    "make_optimizer",
    "one_cycle",
    "set_rate",
]

Example = tuple[Tensor, int]  # waveform (time,) at the recipe's rate, index of its class


def check_examples(examples: Sequence[Example], *, n_labels: int) -> None:
    """See that clips can be learnt from.

    Raises:
        DatasetError: a target is not that of a label.
        ShapeError: a waveform is not (time,) in float32, or holds no samples.
    """
    for index, (waveform, target) in enumerate(examples):
        if not 0 <= target < n_labels:
            raise DatasetError(f"clip {index}: target {target} is not one of {n_labels} labels")
        is_tensor = isinstance(waveform, Tensor) and waveform.dtype == torch.float32
        if not is_tensor or waveform.ndim != 1 or not len(waveform):
            raise ShapeError(
                f"clip {index}: expected a tensor (time,) in float32, got a "
                f"{type(waveform).__name__} {tuple(getattr(waveform, 'shape', ()))} in "
                f"{getattr(waveform, 'dtype', 'no dtype')}"
            )


def batch_loss(
    learner: nn.ModuleList,
    teacher: Teacher | None,
    recipe: Recipe,
    stage: Stage,
    batch: Sequence[Example],
    rng: np.random.Generator,
    device: torch.device,
    class_weight: Tensor | None = None,
    fixed: Sequence[Tensor] | None = None,
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
        class_weight: Of the classes in the loss, (n_classes,).
        fixed: The features of the clips, where `Recipe.has_fixed_features`; without them they are
            computed.
    """
    model = cast(Classifier, learner[0])
    hot = nn.functional.one_hot(torch.tensor([t for _, t in batch]), len(model.labels))
    targets = hot.to(device, torch.float32)
    if fixed is not None:
        features = torch.stack([*fixed]).to(device)
    else:
        seconds = stage.crop_seconds or model.config.window_seconds
        n_samples = round(seconds * model.sample_rate)
        views = [_view(clip, n_samples, model, recipe, stage, rng) for clip, _ in batch]
        waveform = torch.stack(views).to(device)
        waveform, targets = Augment(recipe.waveform_steps)(waveform, targets, rng=rng)
        features = model.frontend(waveform)
    features = Augment(recipe.feature_steps)(features, rng=rng)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
        embedding = model.network.embed(features)
        logits = model.network.head(embedding)
    regression: Tensor | float = 0.0
    if teacher is not None:
        probabilities, wanted = teacher(waveform, bfloat16=recipe.bfloat16)
        targets = torch.lerp(targets, probabilities, recipe.teacher_share)
        regression = nn.functional.mse_loss(learner[1](embedding.float()), wanted)
    loss = nn.functional.cross_entropy(
        logits.float(), targets, weight=class_weight, label_smoothing=recipe.label_smoothing
    )
    return loss + recipe.embedding_weight * regression


def _view(
    clip: Tensor,
    n_samples: int,
    model: Classifier,
    recipe: Recipe,
    stage: Stage,
    rng: np.random.Generator,
) -> Tensor:
    """What is heard of a clip: a random part of it, or all of it from its start."""
    if stage.crop_seconds is None and not stage.is_rolled:
        # As the trained model will hear it.
        return pad_to(clip[:n_samples], n_samples, padding=model.config.padding)
    return loudest_view(
        clip,
        n_samples,
        rng=rng,
        n_candidates=stage.n_candidates,
        max_speed=recipe.max_speed,
    )


def examples_digest(examples: Sequence[Example]) -> str:
    """64 digits that differ between lists of other clips; what a run may go on with."""
    parts: list[str | Tensor] = []
    for waveform, target in examples:
        parts += (f"{target} {len(waveform)} ", waveform)
    return digest(*parts)


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
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """The learning rate at a point of the run, ``progress`` being 0 at its start and 1 at its end.

    ``"one-cycle"`` is a cosine up from a 25th of the peak, then a cosine down to almost nothing.
    """
    if recipe.schedule == "step":
        share = 0.1 ** (int(progress * recipe.epochs + 1e-6) // recipe.step_epochs)
    else:
        share = one_cycle(progress, recipe.warmup)
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * share


def one_cycle(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at a point of the run, 0 to 1, of which ``warmup`` rises."""
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
    for average, value in zip(ema.state_dict().values(), model.state_dict().values(), strict=True):
        if average.is_floating_point():
            average.lerp_(value, 1 - decay)
        else:
            average.copy_(value)
