"""Batches of synthetic scenes with their targets, made in separate processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from soundsep.datasets.soundscapes import Scene, Soundscapes

__all__ = ["SceneBatch", "SceneBatches"]

N_LOADERS = 1  # processes that make scenes; one feeds a step of one core


class SceneBatch(NamedTuple):
    """A batch of scenes, with the targets of a step.

    Attributes:
        waveform: Scenes, (batch, time).
        presence: Whether each class sounds in each frame, (batch, n_frames, n_classes).
        weight: Weight of these targets, (batch, n_frames, n_classes).
        clip_presence: Whether each class occurs in each scene, (batch, n_classes).
        clip_weight: Weight of these targets, (batch, n_classes).
        tags: Tags of the teacher, (batch, n_tags).
        clip: Number of the clip that is the whole scene, or -1, (batch,).
        fold: Fold of the clips of each scene, (batch,).
        step: Number of the step, ().
    """

    waveform: Tensor
    presence: Tensor
    weight: Tensor
    clip_presence: Tensor
    clip_weight: Tensor
    tags: Tensor
    clip: Tensor
    fold: Tensor
    step: Tensor

    def rows(self, chosen: Tensor) -> SceneBatch:
        """Some of the scenes, without their waveforms: what a loss needs.

        Args:
            chosen: Indices of scenes, (n_chosen,).
        """
        rest = self._replace(waveform=self.waveform[:0])
        return SceneBatch(*(t[chosen] if t.ndim and len(t) else t for t in rest))

    def to(self, device: torch.device) -> SceneBatch:
        """The batch on a device."""
        return SceneBatch(*(t.to(device, non_blocking=True) for t in self))


class SceneBatches(Dataset[SceneBatch]):
    """Batches of consecutive scenes, equally many of each list.

    Args:
        scenes: Lists of scenes, by the fold of their clips.
        numbers: For each list, the number of each of its clips among all clips.
        batch_size: Scenes per batch from each list.
        n_classes: Number of classes.
        n_frames: Frames per scene.
        frame: Length of a frame, in frames of the scenes' truth.
        clip_tags: Tags of every clip by a teacher, (n_clips, n_tags).
        stranger_tags: Tags of every stranger by a teacher, (n_strangers, n_tags).
    """

    def __init__(
        self,
        scenes: Mapping[int, Soundscapes],
        numbers: Mapping[int, Sequence[int]],
        *,
        batch_size: int,
        n_classes: int,
        n_frames: int,
        frame: int,
        clip_tags: Tensor,
        stranger_tags: Tensor,
    ) -> None:
        self.scenes, self.numbers, self.batch_size = scenes, numbers, batch_size
        self.n_classes, self.n_frames, self.frame = n_classes, n_frames, frame
        self.clip_tags, self.stranger_tags = clip_tags, stranger_tags

    def __len__(self) -> int:
        return min(len(scenes) for scenes in self.scenes.values()) // self.batch_size

    def __getitem__(self, step: int) -> SceneBatch:
        places = range(step * self.batch_size, (step + 1) * self.batch_size)
        made = [(fold, scenes[i]) for fold, scenes in self.scenes.items() for i in places]
        return self._collate(step, [fold for fold, _ in made], [scene for _, scene in made])

    def _collate(self, step: int, folds: Sequence[int], scenes: Sequence[Scene]) -> SceneBatch:
        targets = [s.frame_targets(self.n_classes, self.n_frames, self.frame) for s in scenes]
        clip_presence = torch.zeros(len(scenes), self.n_classes)
        clip_weight = torch.ones(len(scenes), self.n_classes)
        tags = torch.zeros(len(scenes), self.clip_tags.shape[1])
        clip = torch.full((len(scenes),), -1)
        for row, (fold, scene) in enumerate(zip(folds, scenes, strict=True)):
            clips = [self.numbers[fold][i] for i in scene.clips]
            if scene.is_clip:
                clip[row] = clips[0]
            clip_weight[row, [t for t, hidden in scene.hidden if hidden.any()]] = 0
            for target, _ in scene.active:
                clip_presence[row, target] = clip_weight[row, target] = 1
            known = [self.clip_tags[i] for i in clips]
            known += [self.stranger_tags[i] for i in scene.strangers]
            if known:
                tags[row] = torch.stack(known).amax(dim=0)
        return SceneBatch(
            torch.stack([scene.waveform for scene in scenes]),
            torch.stack([presence for presence, _ in targets]),
            torch.stack([weight for _, weight in targets]),
            clip_presence,
            clip_weight,
            tags,
            clip,
            torch.tensor([*folds]),
            torch.tensor(step),
        )

    def stream(
        self, steps: range, *, n_loaders: int | None = None, pin_memory: bool = False
    ) -> Iterator[SceneBatch]:
        """The batches of some steps, made ahead in other processes.

        Args:
            steps: Numbers of the steps.
            n_loaders: Number of processes; 0 makes batches in this one.
            pin_memory: Put batches into memory that an accelerator can copy from directly.
        """
        n_loaders = N_LOADERS if n_loaders is None else n_loaders
        loader: DataLoader[SceneBatch] = DataLoader(
            self,
            batch_size=None,
            sampler=steps,
            num_workers=n_loaders,
            prefetch_factor=max(2, 6 // n_loaders) if n_loaders else None,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # it draws a seed, which no scene depends on
        )
        return iter(loader)
