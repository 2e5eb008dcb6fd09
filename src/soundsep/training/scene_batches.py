"""Batches of made scenes with their targets, put together in a process of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from soundsep.datasets.soundscapes import Scene, Soundscapes

__all__ = ["SceneBatch", "SceneBatches"]

N_LOADERS = 1  # processes that make scenes; one feeds a step of one core


class SceneBatch(NamedTuple):
    """What a step needs of a batch of scenes.

    Shape:
        waveform: (batch, time). presence, weight: (batch, n_frames, n_classes). clip_presence,
        clip_weight: (batch, n_classes). tags: (batch, n_tags). is_clip: (batch,). step: ().
    """

    waveform: Tensor
    presence: Tensor
    weight: Tensor
    clip_presence: Tensor
    clip_weight: Tensor
    tags: Tensor
    is_clip: Tensor
    step: Tensor


class SceneBatches(Dataset[SceneBatch]):
    """Batches of consecutive scenes.

    Args:
        scenes: The list they come from.
        batch_size: Scenes per batch.
        n_classes: Number of classes.
        n_frames: Frames per scene.
        frame: Length of a frame, in those of the scenes' truth.
        clip_tags: A teacher's tags of every clip, (n_clips, n_tags).
        stranger_tags: The same for every stranger.
    """

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

    def __getitem__(self, step: int) -> SceneBatch:
        first = step * self.batch_size
        return self._collate(step, [self.scenes[first + i] for i in range(self.batch_size)])

    def _collate(self, step: int, scenes: Sequence[Scene]) -> SceneBatch:
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
        return SceneBatch(
            torch.stack([scene.waveform for scene in scenes]),
            torch.stack([presence for presence, _ in targets]),
            torch.stack([weight for _, weight in targets]),
            clip_presence,
            clip_weight,
            tags,
            torch.tensor([scene.is_clip for scene in scenes]),
            torch.tensor(step),
        )

    def stream(self, steps: range) -> Iterator[SceneBatch]:
        """The batches of these steps, made ahead."""
        loader: DataLoader[SceneBatch] = DataLoader(
            self,
            batch_size=None,
            sampler=steps,
            num_workers=N_LOADERS,
            prefetch_factor=6 if N_LOADERS else None,
        )
        return iter(loader)
