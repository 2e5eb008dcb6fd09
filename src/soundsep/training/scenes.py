"""Train a frame-wise network on made scenes: several sounds at once, with their times."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from soundsep.augment import mask
from soundsep.classifier import Classifier
from soundsep.config import check_seed
from soundsep.datasets.soundscapes import Soundscapes
from soundsep.devices import to_device
from soundsep.errors import WeightsError
from soundsep.models.frames import FRAME_STRIDE, FrameMobileNetV3
from soundsep.models.mobilenet import N_BANDS
from soundsep.training.classifier import TrainedClassifier
from soundsep.training.depthwise import quicken_depthwise
from soundsep.training.examples import Example, examples_digest
from soundsep.training.loop import RunState, Task, run_task
from soundsep.training.scene_batches import SceneBatch, SceneBatches
from soundsep.training.scene_recipe import SceneRecipe
from soundsep.training.state import make_folder
from soundsep.training.step import early_decay, one_cycle

__all__ = ["SceneRecipe", "load_tags_head", "train_scenes"]


class _Learner(nn.Module):
    """The classifier, and the head that keeps a teacher's tags."""

    def __init__(self, classifier: Classifier, tags_head: nn.Module) -> None:
        super().__init__()
        self.classifier, self.tags_head = classifier, tags_head


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
) -> TrainedClassifier:
    """Train a network on scenes, or go on where a killed run of the same settings stopped.

    Args:
        recipe: Settings.
        initial: Frame-wise classifier that the training starts from; it is left as it is.
        tags_head: From the network's mean map (batch, n_channels) to a teacher's tags.
        training: Clips of the training folds alone, at the classifier's rate.
        clip_tags: The teacher's tags of every clip, (n_clips, n_tags), from 0 to 1.
        output: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        backgrounds: Real ones, (time,) each.
        strangers: Sounds of none of the classes, (time,) each.
        stranger_tags: Tags of the strangers, in the form of ``clip_tags``.
        seed: Seed of all scenes.
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
    quicken_depthwise(network)
    config = initial.config
    hop = config.frontend.hop_length * FRAME_STRIDE  # type: ignore[union-attr]  # a spectrogram's
    batches = SceneBatches(
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
        n_frames=-(-recipe.scenes.n_samples // hop),
        frame=round(hop / initial.sample_rate / 0.02),
        clip_tags=clip_tags,
        stranger_tags=clip_tags[:0] if stranger_tags is None else stranger_tags,
    )
    state = RunState(learner=learner, model=learner, ema=ema, optimizer=_optimizer(learner, recipe))
    task = _SceneTask(recipe, learner, batches)
    run_task(task, state, folder=folder, settings=settings, progress=progress)
    return TrainedClassifier(learner.classifier.requires_grad_().eval(), ema.classifier.eval())


class _SceneTask(Task[SceneBatch]):
    """A frame-wise classifier learns from scenes, none of which comes twice."""

    def __init__(self, recipe: SceneRecipe, learner: _Learner, scenes: SceneBatches) -> None:
        self.recipe, self.learner, self.scenes = recipe, learner, scenes
        self.n_steps, self.round_steps = recipe.n_steps, recipe.steps_per_save
        self.max_gradient = recipe.max_gradient
        self._stream: Iterator[SceneBatch] | None = None

    @contextmanager
    def batches(self, steps: range) -> Iterator[Iterator[SceneBatch]]:
        if self._stream is None:  # one for all rounds, so that it never waits for a new process
            self._stream = self.scenes.stream(range(steps.start, self.n_steps))
        yield itertools.islice(self._stream, len(steps))

    def loss(self, batch: SceneBatch) -> tuple[Tensor, Tensor]:
        """The weighted sum of four parts: frames, scenes, one of n, tags."""
        classifier, recipe = self.learner.classifier, self.recipe
        network = cast(FrameMobileNetV3, classifier.network)
        device = next(network.parameters()).device
        batch = SceneBatch(*(tensor.to(device) for tensor in batch))
        features = classifier.frontend(batch.waveform)
        rng = np.random.default_rng(int(batch.step))
        if recipe.mask_share:
            width = round(recipe.mask_share * features.shape[1])
            features = mask(features, dim=1, max_width=width, n_masks=2, rng=rng)
        with torch.autocast(device.type, torch.bfloat16):
            frames = network.embed_frames(features)
        frames = frames.float()
        if recipe.dropout:
            kept = rng.random((len(frames), 1, frames.shape[2])) >= recipe.dropout
            frames = frames * torch.from_numpy(kept / (1 - recipe.dropout)).to(frames)
        frame_logits, clip_logits = network.pooled(frames)
        entropy = nn.functional.binary_cross_entropy_with_logits
        on_frames = entropy(frame_logits, batch.presence, weight=batch.weight, reduction="none")
        on_clips = entropy(
            clip_logits, batch.clip_presence, weight=batch.clip_weight, reduction="none"
        )
        one = batch.is_clip
        on_one = nn.functional.cross_entropy(
            clip_logits[one],
            batch.clip_presence[one].argmax(dim=1),
            label_smoothing=recipe.smoothing,
            reduction="sum",
        ) / len(one)
        bands = frames.mean(dim=1).reshape(len(one), -1, N_BANDS).mean(dim=-1)
        on_tags = entropy(self.learner.tags_head(bands), batch.tags, reduction="none")
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

    def rate(self, step: int) -> float:
        return one_cycle(step / self.n_steps, self.recipe.warmup)

    def decay(self, step: int) -> float:
        return early_decay(self.recipe.ema_decay, step)

    def row(self, steps: range, means: list[float]) -> dict[str, Any]:
        parts = zip(("frames", "scenes", "one", "tags"), means, strict=True)
        return {"step": steps.stop, **{name: round(mean, 4) for name, mean in parts}}


def load_tags_head(path: str | Path, tags_head: nn.Module) -> None:
    """Give a head the averaged weights that it had in a run on scenes.

    Args:
        path: The run's ``state.safetensors``.
        tags_head: Head of the same kind as was given to `train_scenes`.

    Raises:
        WeightsError: the file cannot be read, or holds no such head.
    """
    prefix = "ema.tags_head."
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  # no dict
            tags_head.load_state_dict({n.removeprefix(prefix): file.get_tensor(n) for n in names})
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(f"cannot take the head of tags from {path}: {error}") from error


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
