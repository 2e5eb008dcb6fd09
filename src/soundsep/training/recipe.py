"""A recipe: all settings of a training run except its data and its seed, as plain data."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Literal

from soundsep.augment import FeatureStep, Mixup, WaveformStep
from soundsep.config import Config, check_range
from soundsep.errors import ConfigError
from soundsep.frontends import FrontendConfig, MelConfig
from soundsep.models import check_features

__all__ = ["Recipe", "Stage"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage(Config):
    """Consecutive epochs that crop the clips in one way.

    Attributes:
        epochs: Number of epochs.
        crop_seconds: Length of the random crop of each clip; ``None`` for the whole clip.
        n_candidates: Random crops of which the loudest is taken.
        is_rolled: Shift every whole clip circularly by a random time.
    """

    epochs: int
    crop_seconds: float | None = None
    n_candidates: int = 1
    is_rolled: bool = True

    def _check(self) -> None:
        """Check the ranges."""
        check_range(self, "epochs", least=0)
        check_range(self, "n_candidates", least=1)
        check_range(self, "crop_seconds", above=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe(Config):
    """One way to train one network.

    Attributes:
        name: Name for ``soundsep train --recipe``.
        description: One line for lists.
        data: Data set that the recipe is made for.
        has_validation: Hold out one more fold, for the curves; the test fold is then measured only
            at the end.
        network: Name in `soundsep.models.NETWORKS`.
        frontend: Settings of the features.
        window_seconds: Window of the finished model.
        stages: Stages of the run, in order.
        batch_size: Clips per step.
        n_variants: Number of times that every clip occurs in an epoch, each time augmented anew.
        balance: Treatment of classes of unequal size: ``"none"``, ``"weights"`` in the loss, or a
            ``"sampler"`` that draws every class equally often.
        backbone: Trained model whose weights the training starts from, with a linear head fitted to
            the training clips; without one it starts from random weights.
        freeze_batch_norm: Keep the means and variances of the backbone.
        frozen_share: Share of the backbone's layers, counted from the input, that are not trained.
        teacher: Trained model on whose network a linear head is fitted to the training clips; its
            scores are then learnt besides the labels.
        teacher_share: Share of the teacher's probabilities in the targets.
        embedding_weight: Weight of the mean squared error to the teacher's embedding.
        learning_rate: Peak of the schedule.
        schedule: ``"one-cycle"`` rises and falls once over the whole run; ``"step"`` starts at the
            peak and falls to a tenth every ``step_epochs``.
        warmup: Share of all steps in which the rate of a ``"one-cycle"`` rises.
        step_epochs: Epochs between two falls of a ``"step"`` schedule.
        weight_decay: Decoupled weight decay, only on weights of two and more axes.
        label_smoothing: Share of the target spread over all classes.
        max_speed: Largest random speed; the smallest is its inverse. Pitch and tempo change
            together.
        waveform_steps: Augmentation of the waveforms, in order.
        feature_steps: Augmentation of the features, in order.
        ema_decay: Decay per step of the averaged weights, less in the first steps; 0 averages
            nothing.
        initial_share: Share of the initial weights in the averaged ones at the end, so that little
            is forgotten (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", CVPR).
        bfloat16: Run the network under bfloat16 autocast; master weights stay float32.
        report_every: Epochs between two reports on the held-out fold.
    """

    name: str
    description: str
    data: Literal["esc50", "urbansound8k", "urban11"] = "esc50"
    has_validation: bool = False
    network: str
    frontend: FrontendConfig = field(default_factory=MelConfig)
    window_seconds: float = 5.0
    stages: tuple[Stage, ...]
    batch_size: int = 32
    n_variants: int = 1
    balance: Literal["none", "weights", "sampler"] = "none"
    backbone: str | None = None
    freeze_batch_norm: bool = False
    frozen_share: float = 0.0
    teacher: str | None = None
    teacher_share: float = 0.0
    embedding_weight: float = 0.0
    learning_rate: float = 1.5e-3
    schedule: Literal["one-cycle", "step"] = "one-cycle"
    warmup: float = 0.15
    step_epochs: int = 10
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    max_speed: float = 1.0
    waveform_steps: tuple[WaveformStep, ...] = ()
    feature_steps: tuple[FeatureStep, ...] = ()
    ema_decay: float = 0.998
    initial_share: float = 0.0
    bfloat16: bool = False
    report_every: int = 10

    def _check(self) -> None:
        """Check the ranges."""
        check_features(self.network, self.frontend.kind)
        if self.epochs < 1:
            raise ConfigError("Recipe.stages must have at least one epoch")
        check_range(self, "batch_size", least=2)
        check_range(self, "n_variants", "step_epochs", "report_every", "max_speed", least=1)
        check_range(self, "learning_rate", "window_seconds", above=0)
        check_range(self, "weight_decay", least=0)
        check_range(self, "embedding_weight", least=0, most=1e3)
        check_range(
            self,
            "frozen_share",
            "teacher_share",
            "warmup",
            "label_smoothing",
            "ema_decay",
            "initial_share",
            least=0,
            most=1,
        )
        if self.max_speed > 1 and not all(stage.is_rolled for stage in self.stages):
            raise ConfigError("Recipe: a clip that is not rolled is not played faster or slower")
        if self.initial_share and self.backbone is None:
            raise ConfigError("Recipe.initial_share needs a backbone that the training starts from")
        if any(isinstance(step, Mixup) for step in self.waveform_steps) and self.balance != "none":
            raise ConfigError("Recipe: a mixture belongs to two classes, and cannot be balanced")

    @property
    def epochs(self) -> int:
        """Number of epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def has_fixed_features(self) -> bool:
        """Whether the features of a clip are the same in every epoch, before they are augmented."""
        is_plain = all(s.crop_seconds is None and not s.is_rolled for s in self.stages)
        return is_plain and not self.waveform_steps and self.teacher is None

    def with_epochs(self, epochs: int) -> Recipe:
        """The recipe with another number of epochs, its stages scaled in proportion.

        Args:
            epochs: Number of epochs of the result, at least 1.
        """
        ends = [round(epochs * end / self.epochs) for end in self._stage_ends()]
        return self.replace(
            stages=tuple(
                stage.replace(epochs=end - start)
                for stage, start, end in zip(self.stages, [0, *ends], ends, strict=False)
            )
        )

    def _stage_ends(self) -> list[int]:
        return [*itertools.accumulate(stage.epochs for stage in self.stages)]

    def stage_at(self, epoch: int) -> Stage:
        """The stage that an epoch belongs to.

        Args:
            epoch: Number of the epoch, counted from 0.

        Raises:
            ConfigError: the recipe has fewer epochs.
        """
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        raise ConfigError(f"recipe {self.name} has {self.epochs} epochs")
