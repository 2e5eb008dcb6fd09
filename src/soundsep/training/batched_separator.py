"""A separator learns with every part of a step on the device, for accelerators."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from soundsep.config import Config, check_range
from soundsep.datasets import MixtureConfig
from soundsep.devices import forked_rng, move
from soundsep.models.separation import build_separation_network
from soundsep.training.batched_mixtures import BatchedMixtures, MixtureChanges
from soundsep.training.clip_bank import ClipBank
from soundsep.training.step import make_adamw, one_cycle

__all__ = ["BatchedSeparation", "BatchedSeparationRecipe", "thresholded_snr_loss"]

MIN_REACH = 10  # steps that are averaged at least
# Of the mixture's power: what a source is taken to hold in any case, so that silence has a loss.
MIN_POWER = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchedSeparationRecipe(Config):
    """Settings of a `BatchedSeparation`; what `SeparationRecipe` has too is meant alike.

    Attributes:
        network: Name in `soundsep.models.separation.SEPARATION_NETWORKS`.
        mixtures: Settings of the mixtures; every clip is rolled.
        changes: Changes of a share of the mixtures.
        last_share: Share of the run, at its end, that hears mixtures as they are, without changes.
        batch_size: Mixtures a step.
        learning_rate: Peak of a rate that rises and falls once.
        warmup: Share of the run in which it rises.
        weight_decay: Decoupled, on weights of two and more axes only.
        max_gradient: Norm at which gradients are clipped.
        ema_share: Steps that the averaged weights reach back, as a share of those made.
        ceiling_db: A source that is separated better than this is not worth more.
        bfloat16: Compute in bfloat16 where that loses nothing.
    """

    network: str = "mask-unet"
    mixtures: MixtureConfig = field(default_factory=lambda: MixtureConfig(is_rolled=True))
    changes: MixtureChanges = field(default_factory=MixtureChanges)
    last_share: float = 0.1
    batch_size: int = 64
    learning_rate: float = 1.5e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    max_gradient: float = 5.0
    ema_share: float = 0.03
    ceiling_db: float = 30.0
    bfloat16: bool = True

    def _check(self) -> None:
        """Check the ranges."""
        check_range(self, "batch_size", least=1)
        check_range(self, "learning_rate", "max_gradient", above=0)
        check_range(self, "weight_decay", least=0)
        check_range(self, "ceiling_db")
        check_range(self, "last_share", "warmup", "ema_share", least=0, most=1)


def thresholded_snr_loss(
    estimates: Tensor, sources: Tensor, mixture: Tensor, *, ceiling_db: float
) -> Tensor:
    """`soundsep.training.separator.separation_loss` of estimates, without waiting for the device.

    Shape:
        estimates, sources: (batch, n_sources, time). mixture: (batch, time). Returns one number.
    """
    least = MIN_POWER * mixture.square().sum(dim=-1)[:, None] + 1e-12
    power = sources.square().sum(dim=-1) + least
    rows = []
    for j in range(sources.shape[1]):
        noise = (estimates - sources[:, j : j + 1]).square().sum(dim=-1)
        allowed = 10 ** (-ceiling_db / 10) * power[:, j : j + 1]
        rows.append(10 * (power[:, j : j + 1] / (noise + allowed + least)).log10())
    table = torch.stack(rows, dim=1)  # (batch, source, estimate)
    orders = [
        torch.stack([table[:, j, i] for j, i in enumerate(order)]).mean(dim=0)
        for order in itertools.permutations(range(sources.shape[1]))
    ]
    return -torch.stack(orders).amax(dim=0).mean()


class BatchedSeparation:
    """One network, its optimizer, and what is averaged of it.

    Args:
        recipe: Settings.
        bank: Clips at the rate of the mixtures, on the device; several runs may share it.
        training: Numbers of those to learn from; no other is ever heard.
        seed: Seed of the first weights and of everything random.
        initial: Weights to begin with instead, of the same network.

    Raises:
        ConfigError: there is no such network.
        DatasetError: no mixtures can be made of the clips.
    """

    def __init__(
        self,
        recipe: BatchedSeparationRecipe,
        bank: ClipBank,
        training: Sequence[int],
        *,
        seed: int = 0,
        initial: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.recipe = recipe
        device = bank.waveforms.device
        self.mixtures = BatchedMixtures(bank, training, recipe.mixtures, recipe.changes)
        unchanged = recipe.changes.replace(share=0.0)
        self.last_mixtures = BatchedMixtures(bank, training, recipe.mixtures, unchanged)
        with forked_rng(seed):
            model = build_separation_network(recipe.network, n_sources=recipe.mixtures.n_sources)
        if initial is not None:
            model.load_state_dict(initial)
        # Their group norms give contiguous maps on an accelerator, so weights are left so.
        self.model = move(model, device).train()
        self.ema = copy.deepcopy(self.model).requires_grad_(requires_grad=False).eval()
        self._parameters: list[Tensor] = [*self.model.parameters()]
        self._averaged: list[Tensor] = [*self.ema.parameters()]
        self.optimizer = make_adamw(
            self._parameters, rate=recipe.learning_rate, decay=recipe.weight_decay
        )
        self.generator = torch.Generator(device).manual_seed(seed)
        self.n_steps = 0
        self._sum, self._n_summed = torch.zeros((), device=device), 0
        self.n_skipped = torch.zeros((), device=device)

    @property
    def n_mixtures(self) -> int:
        """Mixtures learnt from so far."""
        return self.n_steps * self.recipe.batch_size

    def step(self, share: float) -> None:
        """Learn from a batch; nothing here waits for the device.

        Args:
            share: Share of the run that is over.
        """
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * one_cycle(share, recipe.warmup)
        is_last = share >= 1 - recipe.last_share
        with torch.no_grad():
            drawn = self.last_mixtures if is_last else self.mixtures
            mixture, sources = drawn.draw(recipe.batch_size, generator=self.generator)
        with torch.autocast(mixture.device.type, torch.bfloat16, enabled=recipe.bfloat16):
            estimates = self.model(mixture.unsqueeze(1))[:, :, 0].float()
        loss = thresholded_snr_loss(estimates, sources, mixture, ceiling_db=recipe.ceiling_db)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        norm = nn.utils.clip_grad_norm_(self._parameters, recipe.max_gradient)
        # Of a step that is not a number nothing is kept, as `torch.amp.GradScaler` has it.
        is_lost = (~norm.isfinite()).float()
        self.optimizer.found_inf = is_lost  # type: ignore[attr-defined]
        self.optimizer.step()
        self.n_steps += 1
        reach = max(MIN_REACH, recipe.ema_share * self.n_steps)
        with torch.no_grad():
            torch._foreach_lerp_(self._averaged, self._parameters, 1 / reach)
            self._sum += torch.where(is_lost > 0, 0.0, loss.detach())
            self.n_skipped += is_lost
        self._n_summed += 1

    def loss(self) -> float:
        """Mean loss since the last call, in dB; not a number if no step was made."""
        mean = float(self._sum) / self._n_summed if self._n_summed else float("nan")
        self._sum.zero_()
        self._n_summed = 0
        return mean
