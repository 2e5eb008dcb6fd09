"""Settings of the training of frame-wise networks on scenes."""

from __future__ import annotations

from dataclasses import dataclass, field

from soundsep.config import Config, check_range
from soundsep.datasets.soundscapes import SoundscapeConfig
from soundsep.errors import ConfigError

__all__ = ["SceneRecipe"]


FRAME_NETWORKS = ("mn04-frames", "mn04-context")


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
    """Settings of the training of a frame-wise network.

    Attributes:
        network: ``"mn04-frames"`` or ``"mn04-context"``.
        scenes: Settings of the scenes, whose length is the window of the classifier.
        n_steps: Number of steps; no scene occurs twice.
        batch_size: Scenes per step.
        learning_rate: Peak for the layers that were trained before; it rises over the first
            ``warmup`` of the run and falls as a cosine.
        head_rate: Peak for the two heads.
        warmup: Share of the run in which the rates rise.
        weight_decay: Weight decay of AdamW.
        max_gradient: Norm at which gradients are clipped.
        ema_decay: Decay of the averaged weights, per step.
        n_frozen: Number of first blocks that are not trained; all batch norms keep their
            statistics.
        clip_weight: Weight of the loss on whole scenes, relative to that on frames.
        one_weight: Weight of the one-of-n loss on scenes of a single clip.
        tags_weight: Weight of the loss on a second head for a teacher's tags of the clips of a
            scene, so that these are not forgotten.
        embedding_weight: Weight of the mean squared error to a teacher's embedding of the clip, in
            standard deviations of its values, on scenes of a single clip.
        mask_share: Widest of two bands of the features that are hidden in each scene, as a share of
            all bands.
        dropout: Share of the channels that are hidden from the heads, drawn for each scene.
        smoothing: Label smoothing of the one-of-n loss: target of all other classes together.
        steps_per_save: Steps between two saved states.
    """

    network: str = "mn04-frames"
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
    embedding_weight: float = 0.0
    mask_share: float = 0.0
    dropout: float = 0.0
    smoothing: float = 0.0
    steps_per_save: int = 100

    def _check(self) -> None:
        """Reject what cannot be run.

        Raises:
            ConfigError: a value is out of range.
        """
        if self.network not in FRAME_NETWORKS:
            raise ConfigError(
                f"SceneRecipe.network must be one of {', '.join(FRAME_NETWORKS)}, "
                f"got {self.network!r}"
            )
        check_range(self, "n_steps", "batch_size", "steps_per_save", least=1)
        check_range(self, "learning_rate", "head_rate", "warmup", above=0, below=1)
        check_range(self, "max_gradient", above=0)
        check_range(self, "ema_decay", least=0, below=1)
        check_range(self, "weight_decay", "n_frozen", least=0)
        check_range(self, "clip_weight", "one_weight", "tags_weight", least=0)
        check_range(self, "embedding_weight", least=0, most=1e3)
        check_range(self, "mask_share", "dropout", "smoothing", least=0, most=0.9)
