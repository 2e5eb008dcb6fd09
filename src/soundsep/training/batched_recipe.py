"""Settings of a student that learns in whole batches on the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from soundsep.config import Config, check_range
from soundsep.frontends import FrontendConfig, MelConfig
from soundsep.training.conditions import Conditions

__all__ = ["BatchedRecipe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchedRecipe(Config):
    """Settings of a `soundsep.training.batched.BatchedRun`; names mean the same as in `Recipe`.

    Attributes:
        network: Name in `soundsep.models.NETWORKS`.
        frontend: Settings of the features.
        window_seconds: Length of the whole clips.
        crop_seconds: Length of the crops, with which the run begins.
        n_candidates: Random crops of which the loudest is taken.
        crop_share: Share of the run that uses crops; the rest uses whole clips.
        batch_size: Clips per step.
        max_speed: Largest random speed; the smallest is its inverse.
        mixup: Share of the clips that are mixed with another one.
        n_mixes: Times that this is done, so that up to 2**n_mixes clips are heard at once.
        conditions: Rooms, noises and devices, for crops.
        last_conditions: Factor on the shares of ``conditions``, for whole clips.
        teacher_hears: ``"same"`` gives the teachers the student's waveform before its gain,
            ``"clean"`` that before the conditions.
        teacher_share: Share of the teachers' probabilities in the targets.
        embedding_weight: Weight of the mean squared error to the teachers' embeddings.
        max_mask: Widest mask, as a share of bands or frames; there are two of each kind.
        drop_path: Share of the clips for which the last residual block of a ResNet is skipped; for
            those before it the share is less, evenly down to nothing.
        learning_rate: Peak of the rate, which rises and falls once.
        warmup: Share of the run in which the rate rises.
        weight_decay: Decoupled weight decay, only on weights of two and more axes.
        max_gradient: Norm at which gradients are clipped.
        ema_share: Steps that the averaged weights reach back, as a share of those made. It should
            be well below the share of whole clips, which batch norms have to adapt to.
        bfloat16: Run the networks under bfloat16 autocast.
    """

    network: str = "resnet34"
    frontend: FrontendConfig = field(default_factory=MelConfig)
    window_seconds: float = 5.0
    crop_seconds: float = 2.5
    n_candidates: int = 3
    crop_share: float = 0.85
    batch_size: int = 256
    max_speed: float = 1.35
    mixup: float = 0.5
    n_mixes: int = 2
    conditions: Conditions = field(default_factory=Conditions)
    last_conditions: float = 0.5
    teacher_hears: Literal["same", "clean"] = "clean"
    teacher_share: float = 0.8
    embedding_weight: float = 1.0
    max_mask: float = 0.2
    drop_path: float = 0.1
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    max_gradient: float = 5.0
    ema_share: float = 0.02
    bfloat16: bool = True

    def _check(self) -> None:
        """Check the ranges."""
        check_range(
            self, "window_seconds", "crop_seconds", "learning_rate", "max_gradient", above=0
        )
        check_range(self, "n_candidates", "n_mixes", "max_speed", least=1)
        check_range(self, "batch_size", least=2)
        check_range(self, "weight_decay", "embedding_weight", "last_conditions", least=0)
        check_range(self, "drop_path", least=0, most=0.9)
        check_range(self, "crop_share", "mixup", "teacher_share", "max_mask", least=0, most=1)
        check_range(self, "warmup", "ema_share", least=0, most=1)
        self.conditions.scaled(self.last_conditions)  # now, not when most of a run is over
