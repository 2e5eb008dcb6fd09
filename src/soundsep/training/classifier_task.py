"""Training a classifier on clips: the batches of an epoch, and the loss on a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from soundsep.audio.level import without_offset
from soundsep.audio.windows import pad_to
from soundsep.augment import Augment, loudest_view
from soundsep.classifier import Classifier
from soundsep.datasets import balanced_order, class_weights
from soundsep.devices import forked_rng, to_device
from soundsep.training.autocast import bfloat16_for
from soundsep.training.examples import Example
from soundsep.training.fixed_features import fixed_features
from soundsep.training.held_out import held_out_metrics
from soundsep.training.loop import RunState, Task
from soundsep.training.recipe import Recipe, Stage
from soundsep.training.step import (
    average_weights,
    early_decay,
    first_layers,
    rate_share,
    weight_pairs,
)
from soundsep.training.teacher import Teacher

__all__ = ["ClassifierTask", "ClipBatch"]


class ClipBatch(NamedTuple):
    """Clips of one step.

    Attributes:
        clips: Waveforms and targets.
        features: Features of the clips, if they never change (`Recipe.has_fixed_features`).
        stage: Settings of the crops.
        rng: Generator of all augmentations.
        class_weight: Weight of each class in the loss, (n_classes,).
    """

    clips: Sequence[Example]
    features: Sequence[Tensor] | None
    stage: Stage
    rng: np.random.Generator
    class_weight: Tensor | None


@dataclass(kw_only=True)
class ClassifierTask(Task[ClipBatch]):
    """Training of a classifier by a recipe; its rounds are epochs.

    Attributes:
        recipe: Settings.
        state: State whose learner is the classifier and, with a teacher, the layer from the
            classifier's embedding to the teacher's.
        training: Clips to train on.
        held_out: Clips to report on; may be empty.
        seed: Seed of all random numbers.
        teacher: Teacher, which gets the same waveforms, without the masks.
        initial: Classifier that the training started from, if its weights are averaged into the
            result.
        cache: Folder to keep features in, if they never change.
        progress: Show a progress bar over the features.
    """

    recipe: Recipe
    state: RunState
    training: Sequence[Example]
    held_out: Sequence[Example]
    seed: int
    teacher: Teacher | None = None
    initial: Classifier | None = None
    cache: Path | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        """Count the steps."""
        n_clips = len(self.training) * self.recipe.n_variants
        self.round_steps = max(1, n_clips // self.recipe.batch_size)  # no tiny last batch
        self.n_steps = self.recipe.epochs * self.round_steps
        self._features: list[Tensor] | None = None

    @property
    def model(self) -> Classifier:
        """The classifier that learns."""
        return cast(Classifier, self.state.model)

    def prepare(self) -> None:
        """Compute features that never change."""
        self._features = fixed_features(
            self.model, self.recipe, self.training, cache=self.cache, progress=self.progress
        )

    @contextmanager
    def batches(self, steps: range) -> Iterator[Iterator[ClipBatch]]:
        """Every clip once, or as often as the recipe has variants.

        Args:
            steps: Steps of one epoch.
        """
        recipe, epoch = self.recipe, steps.start // self.round_steps
        rng = np.random.default_rng((self.seed, epoch))
        targets = [target for _, target in self.training]
        is_sampled = recipe.balance == "sampler"
        order = np.concatenate(
            [
                balanced_order(targets, rng) if is_sampled else rng.permutation(len(targets))
                for _ in range(recipe.n_variants)
            ]
        )
        weight: Tensor | None = None
        if recipe.balance == "weights":
            weight = class_weights(targets, n_classes=len(self.model.labels)).to(self._device)
        self._set_modes()

        def batch(number: int) -> ClipBatch:
            chosen = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
            features = self._features
            return ClipBatch(
                [self.training[i] for i in chosen],
                None if features is None else [features[i] for i in chosen],
                recipe.stage_at(epoch),
                rng,
                weight,
            )

        with forked_rng(int(rng.integers(2**62))):  # for networks with dropout
            yield map(batch, range(len(steps)))

    def loss(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """The loss on one augmented batch.

        Args:
            batch: Clips, which are augmented here.

        Shape:
            Returns () and, detached, (1,).
        """
        recipe, model, rng = self.recipe, self.model, batch.rng
        hot = nn.functional.one_hot(torch.tensor([t for _, t in batch.clips]), len(model.labels))
        targets = hot.to(self._device, torch.float32)
        if batch.features is not None:
            features = torch.stack([*batch.features]).to(self._device)
        else:
            seconds = batch.stage.crop_seconds or model.config.window_seconds
            n_samples = round(seconds * model.sample_rate)
            views = [self._view(clip, n_samples, batch) for clip, _ in batch.clips]
            # An offset would count in the levels of mixtures and noise; no model hears it anyway.
            waveform = without_offset(torch.stack(views).to(self._device))
            waveform, targets = Augment(recipe.waveform_steps)(waveform, targets, rng=rng)
            features = model.features(waveform)
        features = Augment(recipe.feature_steps)(features, rng=rng)
        with bfloat16_for(features, enabled=recipe.bfloat16):
            embedding = model.network.embed(features)
            logits = model.network.head(embedding)
        regression: Tensor | float = 0.0
        if self.teacher is not None:
            probabilities, wanted = self.teacher(waveform, bfloat16=recipe.bfloat16)
            targets = torch.lerp(targets, probabilities, recipe.teacher_share)
            to_wanted = cast(nn.ModuleList, self.state.learner)[1]
            regression = nn.functional.mse_loss(to_wanted(embedding.float()), wanted)
        loss = nn.functional.cross_entropy(
            logits.float(),
            targets,
            weight=batch.class_weight,
            label_smoothing=recipe.label_smoothing,
        )
        loss = loss + recipe.embedding_weight * regression
        return loss, loss.detach().double()[None]  # summed as Python sums

    def rate(self, step: int) -> float:
        """Share of the peak learning rate, by the recipe's schedule."""
        return rate_share(self.recipe, step / self.n_steps)

    def decay(self, step: int) -> float:
        """Decay of the averaged weights, less in the first steps."""
        return early_decay(self.recipe.ema_decay, step + 1)

    def row(self, steps: range, means: list[float]) -> dict[str, Any]:
        """The mean loss and, as often as the recipe says, the held-out metrics.

        Args:
            steps: Steps of the epoch.
            means: Mean of the loss.
        """
        recipe, ema = self.recipe, cast(Classifier, self.state.ema)
        epoch, is_last = steps.stop // self.round_steps, steps.stop == self.n_steps
        row: dict[str, Any] = {"epoch": epoch, "training_loss": round(means[0], 6)}
        if is_last and recipe.initial_share and self.initial is not None:
            start = to_device(deepcopy(self.initial), self._device)
            average_weights(weight_pairs(ema, start), 1 - recipe.initial_share)
        if self.held_out and (is_last or epoch % recipe.report_every == 0):
            row |= held_out_metrics(ema, self.held_out)
            if recipe.ema_decay:
                last = held_out_metrics(self.model, self.held_out)
                row["held_out_accuracy_last"] = last["held_out_accuracy"]
        return row

    @property
    def _device(self) -> torch.device:
        return next(self.state.ema.parameters()).device

    def _set_modes(self) -> None:
        """Set training mode, except for layers that the recipe freezes."""
        self.state.learner.train()
        for layer in first_layers(self.model, self.recipe.frozen_share):
            layer.eval()
        if self.recipe.freeze_batch_norm:
            for module in self.state.learner.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _view(self, clip: Tensor, n_samples: int, batch: ClipBatch) -> Tensor:
        """A random part of a clip, or its first window."""
        if batch.stage.crop_seconds is None and not batch.stage.is_rolled:
            # As for the trained model.
            return pad_to(clip[:n_samples], n_samples, padding=self.model.config.padding)
        return loudest_view(
            clip,
            n_samples,
            rng=batch.rng,
            n_candidates=batch.stage.n_candidates,
            max_speed=self.recipe.max_speed,
        )
