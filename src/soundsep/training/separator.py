"""Train a separator: endless mixtures, and a loss for sources in any order."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from soundsep.config import Config, check_range, check_seed
from soundsep.datasets import MixtureConfig, Mixtures
from soundsep.devices import forked_rng, to_device
from soundsep.metrics import permutation_invariant, snr
from soundsep.models.separation import build_separation_network
from soundsep.separator import SeparatorConfig
from soundsep.training.examples import Example, examples_digest
from soundsep.training.loop import RunState, Task, run_task
from soundsep.training.optimizers import new_optimizer
from soundsep.training.state import make_folder
from soundsep.training.step import one_cycle

__all__ = [
    "SeparationRecipe",
    "TrainedSeparator",
    "separation_loss",
    "separator_config",
    "train_separator",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeparationRecipe(Config):
    """Settings of the training of a separator.

    Attributes:
        network: Name in `soundsep.models.separation.SEPARATION_NETWORKS`.
        mixtures: Settings of the mixtures.
        epochs: Number of epochs; no mixture occurs twice.
        n_mixtures: Mixtures per epoch.
        batch_size: Mixtures per step.
        learning_rate: Peak of the rate, which rises over the first ``warmup`` of the run and falls
            as a cosine.
        warmup: Share of the run in which the rate rises.
        weight_decay: Weight decay of AdamW.
        max_gradient: Norm at which gradients are clipped.
        ema_decay: Decay of the averaged weights, per step.
        ceiling_db: Signal-to-noise ratio of a source above which nothing is gained, in dB.
        bfloat16: Compute in bfloat16 if that loses nothing; about twice as fast.
    """

    network: str = "mask-unet"
    mixtures: MixtureConfig = field(default_factory=lambda: MixtureConfig(is_rolled=True))
    epochs: int = 56
    n_mixtures: int = 2_000
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    max_gradient: float = 5.0
    ema_decay: float = 0.999
    ceiling_db: float = 30.0
    bfloat16: bool = True

    def _check(self) -> None:
        """Reject what cannot be run.

        Raises:
            ConfigError: a value is out of range.
        """
        check_range(self, "epochs", "batch_size", least=1)
        check_range(self, "n_mixtures", least=self.batch_size)
        check_range(self, "learning_rate", "warmup", above=0, below=1)
        check_range(self, "weight_decay", least=0)
        check_range(self, "max_gradient", above=0)
        check_range(self, "ema_decay", least=0, below=1)
        check_range(self, "ceiling_db")


def separator_config(recipe: SeparationRecipe) -> SeparatorConfig:
    """The config of a separator that was trained by a recipe."""
    mixtures = recipe.mixtures
    return SeparatorConfig(
        sources=tuple(f"source{i + 1}" for i in range(mixtures.n_sources)),
        network=recipe.network,
        sample_rate=mixtures.sample_rate,
        n_channels=1,
        segment_seconds=mixtures.seconds,
        interchangeable=True,
    )


class TrainedSeparator(NamedTuple):
    """Two networks of one run.

    Attributes:
        last: Weights after the last step.
        ema: Averaged weights.
    """

    last: nn.Module
    ema: nn.Module


def separation_loss(
    network: nn.Module, sources: Tensor, *, ceiling_db: float = 30.0, bfloat16: bool = False
) -> Tensor:
    """The negative mean signal-to-noise ratio, in dB, in the best order of the outputs.

    Args:
        network: Network from (batch, 1, time) to (batch, n_sources, 1, time).
        sources: True sources, whose sum is the input of the network.
        ceiling_db: Ratio above which nothing is gained, in dB.
        bfloat16: Run the network under bfloat16 autocast.

    Shape:
        sources: (batch, n_sources, time). Returns ().
    """
    mixture = sources.sum(dim=1, keepdim=True)
    with torch.autocast(sources.device.type, torch.bfloat16, enabled=bfloat16):
        estimates = network(mixture)[:, :, 0].float()
    metric = functools.partial(snr, ceiling_db=ceiling_db)
    return -permutation_invariant(estimates, sources, metric)[0].mean()


def train_separator(
    recipe: SeparationRecipe,
    training: Sequence[Example],
    *,
    output: str | Path,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> TrainedSeparator:
    """Train a separator, or resume an interrupted run with the same settings.

    Args:
        recipe: Settings.
        training: Clips of the training folds, at the rate of the mixtures.
        output: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        seed: Seed of the initial weights and of every mixture.
        device: Device to train on, such as ``"cpu"`` or ``"cuda"``.
        progress: Show a progress bar.

    Returns:
        The network after the last step, and the one with averaged weights.

    Raises:
        ConfigError: ``output`` cannot be created, or holds a run with other settings or other
            clips, the device does not exist, or ``seed`` is not a seed.
        DatasetError: no mixtures can be made of the clips.
        WeightsError: the state in ``output`` is damaged, or the training diverged.
    """
    check_seed(seed)
    folder = make_folder(output)
    # Without the clips a run could continue with another fold, and train on what it is tested on.
    settings = {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "training_sha256": examples_digest(training),
    }
    with forked_rng(seed):  # initialisation draws from the global generator
        model = build_separation_network(recipe.network, n_sources=recipe.mixtures.n_sources)
    model = to_device(model, device)
    ema = copy.deepcopy(model).requires_grad_(requires_grad=False)
    group = {"params": [*model.parameters()], "peak": recipe.learning_rate}
    optimizer = new_optimizer(
        torch.optim.AdamW, [group], lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    task = _SeparatorTask(recipe, model, training, seed)
    state = RunState(learner=model, model=model, ema=ema, optimizer=optimizer)
    run_task(task, state, folder=folder, settings=settings, progress=progress)
    return TrainedSeparator(model.eval(), ema.eval())


class _SeparatorTask(Task[Tensor]):
    """Training of a separator; its rounds are epochs, its batches sources."""

    def __init__(
        self, recipe: SeparationRecipe, model: nn.Module, training: Sequence[Example], seed: int
    ) -> None:
        self.recipe, self.model = recipe, model
        self.max_gradient = recipe.max_gradient
        self.round_steps = recipe.n_mixtures // recipe.batch_size
        self.n_steps = recipe.epochs * self.round_steps
        self.mixtures = Mixtures(
            training,
            n_mixtures=self.n_steps * recipe.batch_size,
            seed=seed,
            config=recipe.mixtures,
        )

    @contextmanager
    def batches(self, steps: range) -> Iterator[Iterator[Tensor]]:
        yield map(self._sources, steps)

    def _sources(self, step: int) -> Tensor:
        first = step * self.recipe.batch_size
        places = range(first, first + self.recipe.batch_size)
        return torch.stack([self.mixtures[i].sources for i in places])

    def loss(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        sources = batch.to(next(self.model.parameters()).device)
        loss = separation_loss(
            self.model,
            sources,
            ceiling_db=self.recipe.ceiling_db,
            bfloat16=self.recipe.bfloat16,
        )
        return loss, loss.detach().double()[None]  # summed as Python sums

    def rate(self, step: int) -> float:
        return one_cycle(step / self.n_steps, self.recipe.warmup)

    def decay(self, step: int) -> float:
        return self.recipe.ema_decay

    def row(self, steps: range, means: list[float]) -> dict[str, Any]:
        return {"epoch": steps.stop // self.round_steps, "training_loss": round(means[0], 4)}
