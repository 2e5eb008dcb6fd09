"""A student learns from a teacher with every part of a step on the device, for accelerators.

`soundsep.training.train` reproduces its weights exactly after an interruption, and cuts clips one
by one on the processor. Here whole batches are cut, changed, passed to the teacher and learnt
without waiting for a number from the device, and the schedule may follow the clock.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from soundsep.audio.level import without_offset
from soundsep.audio.windows import pad_to
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.classifier.inference import fold_batch_norm
from soundsep.devices import forked_rng, to_device
from soundsep.errors import ConfigError
from soundsep.models.resnet import ResidualBlock
from soundsep.training.autocast import bfloat16_for
from soundsep.training.batched_augment import mask_batch, mix_batch
from soundsep.training.batched_recipe import BatchedRecipe
from soundsep.training.clip_bank import ClipBank
from soundsep.training.step import make_adamw, one_cycle
from soundsep.training.teacher import Teacher, Teachers

__all__ = ["BatchedRun", "Stopwatch", "whole_windows"]

MIN_REACH = 10  # steps that are averaged at least


class Stopwatch:
    """Times the parts of a step; this base class measures nothing and costs nothing."""

    def part(self, name: str) -> AbstractContextManager[None]:
        """A context whose time counts for a part.

        Args:
            name: Name of the part.
        """
        return nullcontext()


class BatchedRun:
    """A student, its averaged weights and its teacher.

    Args:
        recipe: Settings.
        labels: Names of the classes.
        bank: Clips at the rate of the recipe's frontend, on the device; several runs may share it.
        training: Numbers of the clips to train on; no others are used.
        teachers: Classifiers of the same labels that were not trained on held-out clips; their
            mean is learnt.
        seed: Seed of the initial weights and of all random numbers.

    Raises:
        ConfigError: there is no teacher, or one knows other labels.
    """

    def __init__(
        self,
        recipe: BatchedRecipe,
        labels: Sequence[str],
        bank: ClipBank,
        training: Sequence[int],
        teachers: Sequence[Classifier],
        *,
        seed: int = 0,
    ) -> None:
        if not teachers:
            raise ConfigError("there is no teacher")
        if any(teacher.labels != tuple(labels) for teacher in teachers):
            raise ConfigError("a teacher knows other labels, or in another order")
        self.recipe, self.bank = recipe, bank
        device = bank.waveforms.device
        self.rows = torch.tensor([*training], device=device)
        config = ClassifierConfig(
            labels=tuple(labels),
            network=recipe.network,
            frontend=recipe.frontend,
            window_seconds=recipe.window_seconds,
            hop_seconds=recipe.window_seconds / 2,
        )
        guides = [to_device(copy.deepcopy(teacher), device) for teacher in teachers]
        lengths = bank.lengths.tolist()
        # Enough of them for means and spreads, which are taken clip by clip.
        clips = [bank.waveforms[i, : lengths[i]] for i in [*training][::4]]
        with forked_rng(seed):
            self.model = to_device(Classifier(config), device).train()
            rate = self.model.sample_rate
            members = [Teacher(guide, clips, sample_rate=rate).to(device) for guide in guides]
            for member in members:
                member.classifier = fold_batch_norm(member.classifier)
            self.teacher = Teachers(members)
            width = self.model.network.embedding_dim
            self.to_wanted = nn.Linear(width, self.teacher.embedding_dim).to(device)
        self.ema = copy.deepcopy(self.model).requires_grad_(requires_grad=False).eval()
        self._parameters = [*self.model.parameters(), *self.to_wanted.parameters()]
        self.optimizer = make_adamw(
            self._parameters, rate=recipe.learning_rate, decay=recipe.weight_decay
        )
        self.generator = torch.Generator(device).manual_seed(seed)
        self._drop_paths()
        self.n_steps = self.n_whole = 0  # whole: those that heard whole clips
        self._order = self.rows[:0]
        self._hot = torch.eye(len(labels), device=device)
        self._sums, self._n_summed = torch.zeros(2, device=device), 0
        self._averaged, self._current, self._counters = self._pairs()

    @property
    def n_clips(self) -> int:
        """Number of clips in all steps so far, repetitions included."""
        return self.n_steps * self.recipe.batch_size

    def step(self, share: float, watch: Stopwatch | None = None) -> None:
        """Learn from a batch, without waiting for the device.

        Args:
            share: Share of the run that is over, 0 to 1; at least one step uses crops.
            watch: Stopwatch that times the parts of the step.
        """
        recipe, watch = self.recipe, watch or Stopwatch()
        is_whole = share >= recipe.crop_share and self.n_steps > 0
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * one_cycle(share, recipe.warmup)
        with torch.no_grad():
            features, targets, wanted = self._batch(watch, is_whole=is_whole)
        with watch.part("student"):
            with bfloat16_for(features, enabled=recipe.bfloat16):
                embedding = self.model.network.embed(features)
                logits = self.model.network.head(embedding)
            loss = nn.functional.cross_entropy(logits.float(), targets)
            distance = nn.functional.mse_loss(self.to_wanted(embedding.float()), wanted)
            self.optimizer.zero_grad()
            total = loss + recipe.embedding_weight * distance
            total.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        with watch.part("weights"):
            nn.utils.clip_grad_norm_(self._parameters, recipe.max_gradient)
            self.optimizer.step()
            self.n_steps += 1
            self.n_whole += is_whole
            reach = max(MIN_REACH, recipe.ema_share * self.n_steps)
            with torch.no_grad():
                torch._foreach_lerp_(self._averaged, self._current, 1 / reach)
            self._sums += torch.stack([loss.detach(), distance.detach()])
            self._n_summed += 1

    def losses(self) -> tuple[float, float]:
        """Mean cross-entropy and distance to the teacher's embedding since the last call."""
        means = (self._sums / max(1, self._n_summed)).tolist()
        self._sums.zero_()
        self._n_summed = 0
        return means[0], means[1]

    def averaged(self) -> Classifier:
        """The classifier with averaged weights; it must not be changed."""
        for average, value in self._counters:
            average.copy_(value)
        return self.ema

    def _batch(self, watch: Stopwatch, *, is_whole: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Features, targets and the teacher's embedding."""
        recipe, generator, rate = self.recipe, self.generator, self.model.sample_rate
        with watch.part("views"):
            rows = self._next_rows()
            seconds = recipe.window_seconds if is_whole else recipe.crop_seconds
            views = self.bank.views(
                rows,
                round(seconds * rate),
                generator=generator,
                n_candidates=1 if is_whole else recipe.n_candidates,
                max_speed=recipe.max_speed,
            )
            # An offset would count in the levels of mixtures and noise; no model hears it anyway.
            waveform = without_offset(views)
            targets = self._hot[self.bank.targets[rows]]
        with watch.part("changes"):
            for _ in range(recipe.n_mixes):
                waveform, targets = mix_batch(
                    waveform, targets, probability=recipe.mixup, generator=generator
                )
            conditions = recipe.conditions
            if is_whole:
                conditions = conditions.scaled(recipe.last_conditions)
            recorded = conditions.record(waveform, sample_rate=rate, generator=generator)
        with watch.part("teacher"):
            # Its scores depend on the level, so it gets the clip at its own level.
            heard = recorded if recipe.teacher_hears == "same" else waveform
            probabilities, wanted = self.teacher(heard, bfloat16=recipe.bfloat16)
            targets = torch.lerp(targets, probabilities, recipe.teacher_share)
        with watch.part("features"):
            features = self.model.features(conditions.gain(recorded, generator=generator))
            for dim in (-2, -1):
                features = mask_batch(
                    features, dim=dim, max_share=recipe.max_mask, n_masks=2, generator=generator
                )
        return features, targets, wanted

    def _drop_paths(self) -> None:
        """Let the residual blocks of the student be skipped at random, late ones more often."""
        blocks = [m for m in self.model.modules() if isinstance(m, ResidualBlock)]
        for i, block in enumerate(blocks if self.recipe.drop_path else ()):
            kept = 1 - self.recipe.drop_path * (i + 1) / len(blocks)

            def thin(_: nn.Module, __: Any, out: Tensor, kept: float = kept) -> Tensor:
                shape = (len(out), 1, 1, 1)
                drawn = torch.rand(shape, generator=self.generator, device=out.device)
                return out * ((drawn < kept) / kept).to(out.dtype)

            block.branch.register_forward_hook(thin)

    def _next_rows(self) -> Tensor:
        """The next clips of an endless sequence of random orders."""
        n, device = self.recipe.batch_size, self.rows.device
        while len(self._order) < n:
            order = torch.randperm(len(self.rows), generator=self.generator, device=device)
            self._order = torch.cat([self._order, self.rows[order]])
        chosen, self._order = self._order[:n], self._order[n:]
        return chosen

    def _pairs(self) -> tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Averages and current values: real numbers in two lists, counters in pairs."""
        pairs = [
            *zip(self.ema.state_dict().values(), self.model.state_dict().values(), strict=True)
        ]
        real = [(a, v) for a, v in pairs if a.is_floating_point()]
        counters = [(a, v) for a, v in pairs if not a.is_floating_point()]
        return [a for a, _ in real], [v for _, v in real], counters


def whole_windows(clips: Sequence[Tensor], config: ClassifierConfig) -> Tensor:
    """The first window of each clip, padded as for the trained classifier.

    Args:
        clips: Clips at the classifier's rate, (time,) each.
        config: Config of the classifier.

    Shape:
        Returns (n_clips, window).
    """
    n = config.window_samples
    return torch.stack([pad_to(clip[:n], n, padding=config.padding) for clip in clips])
