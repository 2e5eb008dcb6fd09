"""Training frame-wise networks on scenes: the learner, its loss, and its steps."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from soundsep.augment import mask
from soundsep.classifier import Classifier
from soundsep.models.frames import FrameMobileNetV3
from soundsep.models.mobilenet import N_BANDS
from soundsep.training.depthwise import quicken_depthwise
from soundsep.training.loop import Task
from soundsep.training.pace import Pace
from soundsep.training.scene_batches import SceneBatch, SceneBatches
from soundsep.training.scene_recipe import SceneRecipe
from soundsep.training.step import early_decay, one_cycle

__all__ = ["SceneLearner", "SceneLoss", "SceneTask"]

PARTS = ("frames", "scenes", "one", "tags")  # of the loss; a fifth if embeddings are learnt


class SceneLearner(nn.Module):
    """A classifier, and a head for a teacher's tags.

    Args:
        classifier: Frame-wise classifier; it is copied.
        tags_head: Head from (batch, n_channels) to the tags; it is copied.
    """

    def __init__(self, classifier: Classifier, tags_head: nn.Module) -> None:
        super().__init__()
        self.classifier, self.tags_head = copy.deepcopy(classifier), copy.deepcopy(tags_head)

    @property
    def network(self) -> FrameMobileNetV3:
        """The network that learns."""
        return cast(FrameMobileNetV3, self.classifier.network)

    def freeze(self, n_blocks: int) -> None:
        """Exclude the first blocks from training.

        Args:
            n_blocks: Number of blocks after the stem, which is excluded too.
        """
        for module in (self.network.stem, *list(self.network.blocks)[:n_blocks]):
            module.requires_grad_(requires_grad=False)
        if next(self.network.parameters()).device.type == "cpu":
            quicken_depthwise(self.network)

    def parameter_groups(self, recipe: SceneRecipe) -> list[dict[str, Any]]:
        """Groups for AdamW: no weight decay on biases and norms, heads at their own rate.

        Args:
            recipe: Settings with the rates and the weight decay.
        """
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                is_head = any(part in name for part in ("head", "attention", "context"))
                groups.setdefault((is_head, parameter.ndim > 1), []).append(parameter)
        return [
            {
                "params": parameters,
                "peak": recipe.head_rate if is_head else recipe.learning_rate,
                "weight_decay": recipe.weight_decay if has_decay else 0.0,
            }
            for (is_head, has_decay), parameters in groups.items()
        ]


class SceneLoss:
    """The weighted sum of four or five parts: frames, scenes, one of n, tags, embeddings.

    Args:
        learner: Learner whose outputs are measured.
        recipe: Settings with the weights of the parts.
        held_out: Fold whose scenes are left out; 0 for none.
        clip_embeddings: Embedding of every clip by a teacher, (n_clips, embedding_dim).
        folds: Fold of every clip; the spread of embeddings is that of the clips which are heard.
        seed: Seed of the masks and of what is dropped out.
    """

    def __init__(
        self,
        learner: SceneLearner,
        recipe: SceneRecipe,
        held_out: int,
        clip_embeddings: Tensor | None,
        folds: Sequence[int],
        *,
        seed: int,
    ) -> None:
        self.learner, self.recipe, self.held_out, self.seed = learner, recipe, held_out, seed
        self.embeddings: Tensor | None = None
        if recipe.embedding_weight and clip_embeddings is not None:
            device = next(learner.parameters()).device
            heard = torch.tensor([fold == 0 or fold != held_out for fold in folds])
            spread = clip_embeddings[heard].std(dim=0, correction=0).clamp(min=1e-2)
            self.embeddings = clip_embeddings.to(device)
            self.spread = spread.to(device)

    def __call__(self, batch: SceneBatch, features: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted sum, and its parts without weights.

        Shape:
            features: (batch, n_mels, frames). Returns () and, detached, (n_parts,).
        """
        recipe, network = self.recipe, self.learner.network
        rng = np.random.default_rng((int(batch.step), self.seed))
        if recipe.mask_share:
            width = round(recipe.mask_share * features.shape[1])
            features = mask(features, dim=1, max_width=width, n_masks=2, rng=rng)
        with torch.autocast(features.device.type, torch.bfloat16):
            frames = network.embed_frames(features)
        frames = frames.float()
        embeddings = frames.mean(dim=1)
        if recipe.dropout:
            seed = int(rng.integers(2**32))
            generator = torch.Generator(frames.device).manual_seed(seed)
            drawn = torch.rand(
                len(frames), 1, frames.shape[2], generator=generator, device=frames.device
            )
            frames = frames * ((drawn >= recipe.dropout) / (1 - recipe.dropout))
        frame_logits, clip_logits = network.pooled(frames)
        entropy = nn.functional.binary_cross_entropy_with_logits
        on_frames = entropy(frame_logits, batch.presence, weight=batch.weight, reduction="none")
        on_clips = entropy(
            clip_logits, batch.clip_presence, weight=batch.clip_weight, reduction="none"
        )
        n_scenes = len(frames)
        is_clip = (batch.clip >= 0).float()
        on_one = nn.functional.cross_entropy(
            clip_logits,
            batch.clip_presence.argmax(dim=1),
            label_smoothing=recipe.smoothing,
            reduction="none",
        )
        bands = frames.mean(dim=1).reshape(n_scenes, -1, N_BANDS).mean(dim=-1)
        on_tags = entropy(self.learner.tags_head(bands), batch.tags, reduction="none")
        parts = [
            on_frames.sum(dim=2).mean(),
            on_clips.sum(dim=1).mean(),
            (on_one * is_clip).sum() / n_scenes,
            on_tags.sum(dim=1).mean(),
        ]
        weights = [1.0, recipe.clip_weight, recipe.one_weight, recipe.tags_weight]
        if self.embeddings is not None:
            wanted = self.embeddings[batch.clip.clamp(min=0)]
            apart = ((embeddings - wanted) / self.spread).square().mean(dim=1)
            parts.append((apart * is_clip).sum() / n_scenes)
            weights.append(recipe.embedding_weight)
        stacked = torch.stack(parts)
        return (stacked * torch.tensor(weights).to(stacked)).sum(), stacked.detach()


class SceneTask(Task[SceneBatch]):
    """Training of frame-wise classifiers on scenes, none of which occurs twice.

    Args:
        recipe: Settings.
        losses: Loss of each model, by name.
        scenes: Batches of scenes.
        n_loaders: Number of processes that make scenes.
        seconds: Time limit of the run; ``None`` sets no limit.
    """

    def __init__(
        self,
        recipe: SceneRecipe,
        losses: Mapping[str, SceneLoss],
        scenes: SceneBatches,
        *,
        n_loaders: int | None,
        seconds: float | None = None,
    ) -> None:
        self.pace = Pace(recipe.n_steps, seconds)
        self.recipe, self.losses, self.scenes, self.n_loaders = recipe, losses, scenes, n_loaders
        self.n_steps, self.round_steps = recipe.n_steps, recipe.steps_per_save
        self.max_gradient = recipe.max_gradient * len(losses) ** 0.5
        first = next(iter(losses.values())).learner
        self._features, self._device = first.classifier.features, next(first.parameters()).device
        self._stream: Iterator[SceneBatch] | None = None

    def resume(self, row: dict[str, Any]) -> None:
        """Go on where the clock stood, so that no run takes its time twice."""
        self.pace.resume(row.get("elapsed", 0.0))

    @contextmanager
    def batches(self, steps: range) -> Iterator[Iterator[SceneBatch]]:
        """Batches made ahead by other processes."""
        if self._stream is None:  # one for all rounds, so that none waits for a new process
            self._stream = self.scenes.stream(
                range(steps.start, self.n_steps),
                n_loaders=self.n_loaders,
                pin_memory=self._device.type == "cuda",
            )
        yield itertools.islice(self._stream, len(steps))

    def loss(self, batch: SceneBatch) -> tuple[Tensor, Tensor]:
        """The sum over all models, and the parts of each model.

        Shape:
            Returns () and, detached, (n_models * n_parts,).
        """
        whole = batch.to(self._device)._replace(step=batch.step)
        features = self._features(whole.waveform)
        heard = {0: (whole, features)}
        # Numbers of rows, looked up before the device has them, spare it from being waited for.
        for fold in {loss.held_out for loss in self.losses.values()} - {0}:
            chosen = (batch.fold != fold).nonzero()[:, 0].to(self._device)
            heard[fold] = whole.rows(chosen), features[chosen]
        results = [loss(*heard[loss.held_out]) for loss in self.losses.values()]
        total = torch.stack([total for total, _ in results]).sum()
        return total, torch.cat([parts for _, parts in results])

    def rate(self, step: int) -> float:
        """Share of the peak learning rate, which rises once and falls as a cosine."""
        return one_cycle(self.pace.share(step), self.recipe.warmup)

    def is_over(self, step: int) -> bool:
        """Whether the time is up."""
        return self.pace.share(step) >= 1

    def decay(self, step: int) -> float:
        """Decay of the averaged weights, less in the first steps."""
        return early_decay(self.recipe.ema_decay, step)

    def row(self, steps: range, means: list[float]) -> dict[str, Any]:
        """The mean of each part of each model's loss."""
        rest = iter(means)
        row: dict[str, Any] = {"step": steps.stop}
        if self.pace.seconds is not None:  # rounded up: what was over stays so
            row["elapsed"] = math.ceil(100 * self.pace.elapsed) / 100
        for name, loss in self.losses.items():
            parts = PARTS if loss.embeddings is None else (*PARTS, "embedding")
            figures = {part: round(next(rest), 4) for part in parts}
            row |= {name: figures} if name else figures
        return row
