"""Recipes: everything a training run depends on beside its data and its seed, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from soundsep.config import Config
from soundsep.errors import ConfigError
from soundsep.frontends import FrontendConfig, KaldiMelConfig, MelConfig
from soundsep.models import NETWORKS

__all__ = ["RECIPES", "Recipe", "Stage", "get_recipe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage(Config):
    """A stretch of epochs that hear the clips in one way.

    Attributes:
        epochs: How many.
        crop_seconds: Length of the random crop of each clip; ``None`` is the whole clip.
        n_candidates: Random crops of which the loudest is taken.
    """

    epochs: int
    crop_seconds: float | None = None
    n_candidates: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.epochs < 0 or self.n_candidates < 1:
            raise ConfigError("Stage needs epochs >= 0 and n_candidates >= 1")
        if self.crop_seconds is not None and not self.crop_seconds > 0:
            raise ConfigError(f"Stage.crop_seconds must be above 0, got {self.crop_seconds}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe(Config):
    """One way to train one network.

    Attributes:
        name: What ``soundsep train --recipe`` calls it.
        description: One line for people.
        network: Name in `soundsep.models.NETWORKS`.
        frontend: Settings of the features.
        window_seconds: Length of audio the finished model hears at once.
        stages: Stretches of epochs, in order.
        batch_size: Clips a step.
        learning_rate: Peak of the one-cycle schedule.
        warmup: Share of all steps in which the rate rises.
        weight_decay: Decoupled, on weights of two and more axes only.
        label_smoothing: Share of the target spread over all classes.
        backbone: Trained model whose weights the training starts from, with a linear head fitted to
            the training clips; without one it starts from random weights.
        freeze_batch_norm: Keep the means and variances that the backbone came with.
        teacher: Trained model on whose network a linear head is fitted to the training clips; its
            answers are then learnt beside the labels.
        teacher_share: Share of the teacher's probabilities in the targets.
        embedding_weight: Weight of the mean squared error to the teacher's embedding.
        mixup_probability: Share of clips mixed with another one.
        gain_db: Random gain, up or down.
        max_speed: Random speed, from its inverse to this.
        time_mask: Widest time mask, as a share of the frames; two of them.
        frequency_mask: Widest frequency mask, as a share of the bands; two of them.
        ema_decay: Decay a step of the averaged weights.
        bfloat16: Run the network under bfloat16 autocast; master weights stay float32.
    """

    name: str
    description: str
    network: str
    frontend: FrontendConfig = field(default_factory=MelConfig)
    window_seconds: float = 5.0
    stages: tuple[Stage, ...]
    batch_size: int = 32
    backbone: str | None = None
    freeze_batch_norm: bool = False
    teacher: str | None = None
    teacher_share: float = 0.0
    embedding_weight: float = 0.0
    learning_rate: float = 1.5e-3
    warmup: float = 0.15
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup_probability: float = 0.5
    gain_db: float = 6.0
    max_speed: float = 1.2
    time_mask: float = 0.15
    frequency_mask: float = 0.15
    ema_decay: float = 0.998
    bfloat16: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.network not in NETWORKS:
            raise ConfigError(f"no network {self.network!r}; there are {', '.join(NETWORKS)}")
        if self.epochs < 1 or self.batch_size < 2:
            raise ConfigError("Recipe needs at least one epoch and a batch_size of 2")
        if not (self.learning_rate > 0 and self.weight_decay >= 0 and self.max_speed >= 1):
            raise ConfigError(
                "Recipe needs learning_rate > 0, weight_decay >= 0 and max_speed >= 1"
            )
        if not 0 <= self.gain_db <= 100:
            raise ConfigError(f"Recipe.gain_db must be between 0 and 100, got {self.gain_db}")
        if not 0 <= self.embedding_weight <= 1e3:
            raise ConfigError("Recipe.embedding_weight must be between 0 and 1000")
        for name in (
            "teacher_share",
            "warmup",
            "label_smoothing",
            "mixup_probability",
            "time_mask",
            "frequency_mask",
            "ema_decay",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"Recipe.{name} must be between 0 and 1")

    @property
    def epochs(self) -> int:
        """All epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def stage_at(self, epoch: int) -> Stage:
        """The stage that epoch number ``epoch`` (from 0) belongs to."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        raise ConfigError(f"recipe {self.name} has {self.epochs} epochs")


# Few and careful steps: the backbone already knows far more than the clips can teach it.
_FINE_TUNING: dict[str, Any] = {
    "learning_rate": 4e-4,
    "warmup": 0.1,
    "label_smoothing": 0.0,
    "max_speed": 1.0,
    "time_mask": 0.0,
    "frequency_mask": 0.0,
    "ema_decay": 0.99,
    "bfloat16": True,
}

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="esc50-resnet34",
            description="ResNet-34 on log-mel of 16 kHz audio, taught by a probe of audioset-mn04; "
            "crops first, whole clips last",
            network="resnet34",
            stages=(
                Stage(epochs=150, crop_seconds=2.5, n_candidates=3),
                Stage(epochs=30),
            ),
            label_smoothing=0.0,
            teacher="audioset-mn04",
            teacher_share=0.7,
            embedding_weight=1.0,
            bfloat16=True,
        ),
        Recipe(
            name="finetune",
            description="what `soundsep fit --mode finetune` does with one's own clips",
            network="mn04-bands",
            frontend=KaldiMelConfig(),
            stages=(Stage(epochs=12),),
            backbone="audioset-mn04",
            freeze_batch_norm=True,
            **_FINE_TUNING,
        ),
        Recipe(
            name="esc50-resnet18",
            description="ResNet-18 without a teacher; no weights of it are published",
            network="resnet18",
            stages=(
                Stage(epochs=180, crop_seconds=2.5, n_candidates=3),
                Stage(epochs=40),
            ),
            bfloat16=True,
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in RECIPES:
        raise ConfigError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
