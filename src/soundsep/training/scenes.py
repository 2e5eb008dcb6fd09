"""Train a frame-wise network on made scenes: several sounds at once, with their times."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from soundsep.classifier import Classifier
from soundsep.config import Config
from soundsep.datasets.seed import check_seed
from soundsep.datasets.soundscapes import Scene, SoundscapeConfig, Soundscapes
from soundsep.devices import to_device
from soundsep.errors import ConfigError, WeightsError
from soundsep.files import write_json_lines
from soundsep.models.frames import FRAME_STRIDE, FrameMobileNetV3
from soundsep.models.mobilenet import N_BANDS
from soundsep.progress import progress_bar
from soundsep.training.state import load_state, make_folder, save_state
from soundsep.training.step import Example, average_weights, early_decay, examples_digest, one_cycle

__all__ = ["SceneRecipe", "TrainedScenes", "train_scenes"]

N_LOADERS = 1  # processes that make scenes; one feeds a step of one core


def _training_scenes() -> SoundscapeConfig:
    return SoundscapeConfig(
        seconds=5.0,
        n_sounds=(0.12, 0.3, 0.33, 0.17, 0.08),
        clip_share=0.22,
        level_db=(-10.0, 10.0),
        snr_db=(-8.0, 35.0),
        cut=0.6,
        part_share=0.3,
        speed_share=0.6,
        stranger_share=0.2,
        gain_db=(-50.0, 0.0),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneRecipe(Config):
    """How a frame-wise network is trained.

    Attributes:
        scenes: What it hears; their length is the window of the classifier.
        n_steps: Batches; no scene comes twice.
        batch_size: Scenes per step.
        learning_rate: Peak for the layers that learnt before; it rises over the first ``warmup`` of
            the run and falls as a cosine.
        head_rate: The same for the two heads.
        warmup: Share of the run.
        weight_decay: Of AdamW.
        max_gradient: Norm at which gradients are clipped.
        ema_decay: Of the averaged weights, per step.
        n_frozen: First blocks that stay as they are; all batch norms keep their statistics.
        clip_weight: Weight of the loss on whole scenes beside that on frames.
        one_weight: Weight of the one-of-n loss on scenes of a single clip.
        tags_weight: Weight of the loss on a second head that keeps the tags which a teacher gave
            to the clips of a scene, so that what was known is not forgotten.
        steps_per_save: Steps between two saved states.
    """

    scenes: SoundscapeConfig = field(default_factory=_training_scenes)
    n_steps: int = 4_500
    batch_size: int = 32
    learning_rate: float = 5e-4
    head_rate: float = 1e-3
    warmup: float = 0.04
    weight_decay: float = 0.01
    max_gradient: float = 5.0
    ema_decay: float = 0.999
    n_frozen: int = 6
    clip_weight: float = 0.5
    one_weight: float = 0.5
    tags_weight: float = 0.1
    steps_per_save: int = 100

    def __post_init__(self) -> None:
        """Reject what cannot be run.

        Raises:
            ConfigError: a value is out of range.
        """
        if min(self.n_steps, self.batch_size, self.steps_per_save) < 1:
            raise ConfigError("SceneRecipe needs at least one step, of at least one scene")
        if not 0 < self.learning_rate < 1 or not 0 < self.head_rate < 1 or not 0 < self.warmup < 1:
            raise ConfigError("SceneRecipe needs rates and warmup between 0 and 1")
        if not 0 <= self.ema_decay < 1 or self.max_gradient <= 0 or self.n_frozen < 0:
            raise ConfigError(
                "SceneRecipe needs 0 <= ema_decay < 1, max_gradient above 0 and n_frozen from 0"
            )


class TrainedScenes(NamedTuple):
    """Two sets of weights of one run."""

    last: Classifier
    ema: Classifier


class Batch(NamedTuple):
    """What a step needs of a batch of scenes.

    Shape:
        waveform: (batch, time). presence, weight: (batch, n_frames, n_classes). clip_presence,
        clip_weight: (batch, n_classes). tags: (batch, n_tags). is_clip: (batch,).
    """

    waveform: Tensor
    presence: Tensor
    weight: Tensor
    clip_presence: Tensor
    clip_weight: Tensor
    tags: Tensor
    is_clip: Tensor


class _Batches(Dataset[Batch]):
    def __init__(
        self,
        scenes: Soundscapes,
        *,
        batch_size: int,
        n_classes: int,
        n_frames: int,
        frame: int,
        clip_tags: Tensor,
        stranger_tags: Tensor,
    ) -> None:
        self.scenes, self.batch_size = scenes, batch_size
        self.n_classes, self.n_frames, self.frame = n_classes, n_frames, frame
        self.clip_tags, self.stranger_tags = clip_tags, stranger_tags

    def __len__(self) -> int:
        return len(self.scenes) // self.batch_size

    def __getitem__(self, step: int) -> Batch:
        first = step * self.batch_size
        return self._collate([self.scenes[first + i] for i in range(self.batch_size)])

    def _collate(self, scenes: Sequence[Scene]) -> Batch:
        targets = [s.frame_targets(self.n_classes, self.n_frames, self.frame) for s in scenes]
        clip_presence = torch.zeros(len(scenes), self.n_classes)
        clip_weight = torch.ones(len(scenes), self.n_classes)
        tags = torch.zeros(len(scenes), self.clip_tags.shape[1])
        for row, scene in enumerate(scenes):
            clip_weight[row, [t for t, hidden in scene.hidden if hidden.any()]] = 0
            for target, _ in scene.active:
                clip_presence[row, target] = clip_weight[row, target] = 1
            known = [self.clip_tags[i] for i in scene.clips]
            known += [self.stranger_tags[i] for i in scene.strangers]
            if known:
                tags[row] = torch.stack(known).amax(dim=0)
        return Batch(
            torch.stack([scene.waveform for scene in scenes]),
            torch.stack([presence for presence, _ in targets]),
            torch.stack([weight for _, weight in targets]),
            clip_presence,
            clip_weight,
            tags,
            torch.tensor([scene.is_clip for scene in scenes]),
        )


class _Learner(nn.Module):
    """The classifier, and the head that keeps a teacher's tags."""

    def __init__(self, classifier: Classifier, tags_head: nn.Module) -> None:
        super().__init__()
        self.classifier, self.tags_head = classifier, tags_head


def scene_loss(learner: _Learner, batch: Batch, recipe: SceneRecipe) -> tuple[Tensor, Tensor]:
    """What the learner gets wrong, and its four parts: frames, scenes, one of n, tags."""
    classifier = learner.classifier
    network = cast(FrameMobileNetV3, classifier.network)
    device = batch.waveform.device.type
    features = classifier.frontend(batch.waveform)
    with torch.autocast(device, torch.bfloat16):
        frames = network.embed_frames(features)
    frames = frames.float()
    frame_logits, clip_logits = network.pooled(frames)
    entropy = nn.functional.binary_cross_entropy_with_logits
    on_frames = entropy(frame_logits, batch.presence, weight=batch.weight, reduction="none")
    on_clips = entropy(clip_logits, batch.clip_presence, weight=batch.clip_weight, reduction="none")
    one = batch.is_clip
    on_one = nn.functional.cross_entropy(
        clip_logits[one], batch.clip_presence[one].argmax(dim=1), reduction="sum"
    ) / len(one)
    bands = frames.mean(dim=1).reshape(len(one), -1, N_BANDS).mean(dim=-1)
    on_tags = entropy(learner.tags_head(bands), batch.tags, reduction="none")
    parts = torch.stack(
        [
            on_frames.sum(dim=2).mean(),
            on_clips.sum(dim=1).mean(),
            on_one,
            on_tags.sum(dim=1).mean(),
        ]
    )
    weights = torch.tensor([1.0, recipe.clip_weight, recipe.one_weight, recipe.tags_weight])
    return (parts * weights.to(parts)).sum(), parts.detach()


def train_scenes(
    recipe: SceneRecipe,
    initial: Classifier,
    tags_head: nn.Module,
    training: Sequence[Example],
    *,
    clip_tags: Tensor,
    output: str | Path,
    backgrounds: Sequence[Tensor] = (),
    strangers: Sequence[Tensor] = (),
    stranger_tags: Tensor | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> TrainedScenes:
    """Train a network on scenes, or go on where a killed run of the same settings stopped.

    Args:
        recipe: Settings.
        initial: Frame-wise classifier that the training starts from; it is left as it is.
        tags_head: From the network's mean map (batch, n_channels) to a teacher's tags.
        training: Clips of the training folds alone, at the classifier's rate.
        clip_tags: The teacher's tags of every clip, (n_clips, n_tags), from 0 to 1.
        output: Folder for ``state.safetensors`` and ``metrics.jsonl``.
        backgrounds: Real ones, (time,) each.
        strangers: Sounds of none of the classes, (time,) each.
        stranger_tags: As ``clip_tags``.
        seed: Of every scene.
        device: Where to train.
        progress: Show a progress bar.

    Returns:
        The classifier after the last step, and the one with averaged weights.

    Raises:
        ConfigError: ``output`` cannot be made, or holds a run with other settings or other clips,
            there is no such device, or the seed is not one.
        DatasetError: no scenes can be made of the clips.
        WeightsError: the state in ``output`` is damaged, or the training diverged.
    """
    check_seed(seed)
    folder = make_folder(output)
    settings = {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "training_sha256": examples_digest(training),
        "others_sha256": examples_digest([(w, 0) for w in [*backgrounds, *strangers]]),
    }
    learner = _Learner(copy.deepcopy(initial), copy.deepcopy(tags_head))
    network = cast(FrameMobileNetV3, learner.classifier.network)
    to_device(learner.classifier, device)
    learner.tags_head.to(device)
    learner.eval()  # batch norms keep their statistics
    ema = copy.deepcopy(learner).requires_grad_(requires_grad=False)
    for module in (network.stem, *list(network.blocks)[: recipe.n_frozen]):
        module.requires_grad_(requires_grad=False)
    optimizer = _optimizer(learner, recipe)
    rows: list[dict[str, Any]] = []
    state = folder / "state.safetensors"
    if state.is_file():
        rows = load_state(state, settings=settings, model=learner, ema=ema, optimizer=optimizer)
    config = initial.config
    hop = config.frontend.hop_length * FRAME_STRIDE  # type: ignore[union-attr]  # a spectrogram's
    n_samples = recipe.scenes.n_samples
    batches = _Batches(
        Soundscapes(
            training,
            n_scenes=recipe.n_steps * recipe.batch_size,
            seed=seed,
            config=recipe.scenes,
            backgrounds=backgrounds,
            strangers=strangers,
        ),
        batch_size=recipe.batch_size,
        n_classes=len(config.labels),
        n_frames=-(-n_samples // hop),
        frame=round(hop / initial.sample_rate / 0.02),
        clip_tags=clip_tags,
        stranger_tags=clip_tags[:0] if stranger_tags is None else stranger_tags,
    )
    first = len(rows) * recipe.steps_per_save
    steps = progress_bar(
        _stream(batches, range(first, recipe.n_steps)),
        initial=first,
        total=recipe.n_steps,
        progress=progress,
    )
    began, sums, n_summed = time.perf_counter(), torch.zeros(4), 0
    for step, batch in enumerate(steps, start=first):
        share = one_cycle(step / recipe.n_steps, recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
        loss, parts = scene_loss(learner, Batch(*(t.to(device) for t in batch)), recipe)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        norm = nn.utils.clip_grad_norm_(
            [p for p in learner.parameters() if p.requires_grad], recipe.max_gradient
        )
        if not norm.isfinite():
            raise WeightsError(f"the training diverged at step {step}; lower learning_rate")
        optimizer.step()
        average_weights(ema, learner, early_decay(recipe.ema_decay, step))
        sums += parts.cpu()
        n_summed += 1
        if (step + 1) % recipe.steps_per_save and step + 1 < recipe.n_steps:
            continue
        names = ("frames", "scenes", "one", "tags")
        losses = {k: round(float(v) / n_summed, 4) for k, v in zip(names, sums, strict=True)}
        seconds = round(time.perf_counter() - began, 1)
        rows.append({"step": step + 1, **losses, "seconds": seconds})
        notes = {"settings": settings, "metrics": rows}
        save_state(state, model=learner, ema=ema, optimizer=optimizer, notes=notes)
        write_json_lines(folder / "metrics.jsonl", rows)
        began, sums, n_summed = time.perf_counter(), torch.zeros(4), 0
    return TrainedScenes(learner.classifier.requires_grad_().eval(), ema.classifier.eval())


def _optimizer(learner: nn.Module, recipe: SceneRecipe) -> torch.optim.Optimizer:
    """AdamW, without weight decay on biases and norms, heads at their own rate."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in learner.named_parameters():
        if parameter.requires_grad:
            is_head = any(part in name for part in ("head", "attention"))
            groups.setdefault((is_head, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": recipe.head_rate if is_head else recipe.learning_rate,
                "weight_decay": recipe.weight_decay if has_decay else 0.0,
            }
            for (is_head, has_decay), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
        fused=True,
    )


def _stream(batches: _Batches, steps: range) -> Iterator[Batch]:
    loader: DataLoader[Batch] = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=N_LOADERS,
        prefetch_factor=6 if N_LOADERS else None,
    )
    return iter(loader)
