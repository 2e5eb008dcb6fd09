"""The settings of a classifier: everything but the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from soundsep.config import Config, check_names, check_number, check_numbers, check_range
from soundsep.errors import ConfigError
from soundsep.frontends import FrontendConfig, MelConfig, frontend_cost
from soundsep.models import NETWORK_BYTES, check_features
from soundsep.names import label_fault

__all__ = ["ClassifierConfig"]

MAX_LABELS = 10_000
MAX_WINDOW_SAMPLES = 2**26  # 1.2 h at 16 kHz
MAX_WINDOW_BYTES = 2**30  # estimated need of a forward pass of one window
MAX_OVERLAP = 1_000  # windows that hold the same sample
MAX_MEDIAN_SECONDS = 60.0
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierConfig(Config):
    """Everything but the weights.

    Attributes:
        labels: Names of the outputs, in order.
        network: Name in `soundsep.models.NETWORKS`.
        frontend: Settings of the features.
        activation: ``"softmax"`` if exactly one label applies, ``"sigmoid"`` if any number may.
        temperature: Divisor of the logits before the activation: above 1 for an overconfident
            network, below 1 for an underconfident one. With ``"sigmoid"`` it may be one number
            per label.
        window_seconds: Length of a window.
        hop_seconds: Step between the windows of a longer clip.
        padding: Extension at the end of a clip that is shorter than one window.
        clip_level_db: Level that softer clips are raised to before they are cut, all windows and
            sources by one gain, as `soundsep.audio.level.level_db` measures it, from -100 to 0;
            ``None`` for none. Events and streams hear recordings as they are.
        unknown_below: Best score below which a sound should be called unknown; the model's card
            says how it was chosen. ``None`` if it was not chosen.
        thresholds: Score of each label at which it counts as present, in events and, with
            ``"sigmoid"``, in the labels of a clip; ``None`` for `DEFAULT_THRESHOLD`.
        median_seconds: Length of the median filter over the scores of frames for events, one for
            all labels or one per label; only networks with frames use it.
    """

    labels: tuple[str, ...]
    network: str
    frontend: FrontendConfig = field(default_factory=MelConfig)
    activation: Literal["softmax", "sigmoid"] = "softmax"
    temperature: float | tuple[float, ...] = 1.0
    window_seconds: float = 5.0
    hop_seconds: float = 2.5
    padding: Literal["zero", "reflect"] = "reflect"
    clip_level_db: float | None = None
    unknown_below: float | None = None
    thresholds: tuple[float, ...] | None = None
    median_seconds: float | tuple[float, ...] = 0.5

    def _check(self) -> None:
        """Reject settings that contradict each other.

        Raises:
            ConfigError: labels are not names, missing, duplicated, too many or not printable, a
                length is out of range, or the network is unknown or does not take these features.
        """
        check_names(self, "labels")
        if not 1 <= len(set(self.labels)) == len(self.labels) <= MAX_LABELS:
            raise ConfigError(f"ClassifierConfig.labels must be 1 to {MAX_LABELS} distinct names")
        if faults := [fault for label in self.labels if (fault := label_fault(label))]:
            raise ConfigError(f"ClassifierConfig.labels: {faults[0]}")
        check_features(self.network, self.frontend.kind)
        check_range(self, "hop_seconds", "window_seconds")
        if not 0 < self.hop_seconds <= self.window_seconds <= 3_600:
            raise ConfigError(
                "ClassifierConfig needs 0 < hop_seconds <= window_seconds <= 3600, got "
                f"{self.hop_seconds} and {self.window_seconds}"
            )
        if self.window_seconds * self.frontend.sample_rate > MAX_WINDOW_SAMPLES:
            raise ConfigError(
                f"ClassifierConfig.window_seconds: more than {MAX_WINDOW_SAMPLES} samples"
            )
        if self.window_bytes > MAX_WINDOW_BYTES:
            raise ConfigError(
                f"ClassifierConfig.frontend: one window of {self.window_seconds:g} s would need "
                f"about {self.window_bytes / 2**30:.3g} GiB of memory; expected at most "
                f"{MAX_WINDOW_BYTES / 2**30:g} GiB: a longer hop_length, a shorter window, or "
                "smaller features"
            )
        shortest = max(1 / self.frontend.sample_rate, self.window_seconds / MAX_OVERLAP)
        if self.hop_seconds < shortest:
            raise ConfigError(
                f"ClassifierConfig.hop_seconds is {self.hop_seconds}, expected a sample and a "
                f"thousandth of the window or more: at least {shortest:.3g}"
            )
        self._check_numbers()
        check_range(self, "unknown_below", above=0, most=1)
        check_range(self, "clip_level_db", least=-100, most=0)

    @property
    def window_samples(self) -> int:
        """``window_seconds`` in samples."""
        return round(self.window_seconds * self.frontend.sample_rate)

    @property
    def hop_samples(self) -> int:
        """``hop_seconds`` in samples."""
        return round(self.hop_seconds * self.frontend.sample_rate)

    @property
    def min_samples(self) -> int:
        """Length of the shortest recording accepted, one analysis frame, in samples."""
        return self.frontend.win_length

    @property
    def window_bytes(self) -> int:
        """Estimate of the memory that a forward pass needs per window, in bytes."""
        n_bytes, n_features = frontend_cost(self.frontend, self.window_samples)
        return n_bytes + n_features * NETWORK_BYTES.get(self.network, 512)

    def _check_numbers(self) -> None:
        """Check the settings that may be one for all labels or one per label."""
        ranges = {
            "temperature": (0.01, 100.0),
            "thresholds": (0.0, 1.0),
            "median_seconds": (0.0, MAX_MEDIAN_SECONDS),
        }
        if not isinstance(self.thresholds, list | tuple | None):
            raise ConfigError(
                "ClassifierConfig.thresholds must be one number per label, in their order, or "
                f"null, got {type(self.thresholds).__name__}"
            )
        for name, (least, most) in ranges.items():
            for number in check_numbers(self, name, n=len(self.labels)) or ():
                check_number(f"ClassifierConfig.{name}", number, least=least, most=most)
        if self.thresholds is not None and min(self.thresholds) <= 0:
            raise ConfigError("ClassifierConfig.thresholds must be above 0")
        if isinstance(self.temperature, tuple) and self.activation == "softmax":
            raise ConfigError(
                "ClassifierConfig.temperature must be one number with softmax, whose labels share "
                "a score of 1"
            )

    @property
    def label_thresholds(self) -> tuple[float, ...]:
        """``thresholds``, or the default for every label."""
        if self.thresholds is None:
            return (DEFAULT_THRESHOLD,) * len(self.labels)
        return self.thresholds

    @property
    def label_medians(self) -> tuple[float, ...]:
        """``median_seconds`` of every label."""
        if isinstance(self.median_seconds, tuple):
            return self.median_seconds
        return (self.median_seconds,) * len(self.labels)
