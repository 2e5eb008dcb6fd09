"""`Classifier`: a frontend, a network and the names of its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from soundsep.config import Config
from soundsep.errors import ConfigError
from soundsep.frontends import MelConfig, MelFrontend
from soundsep.models import build_network

__all__ = ["Classifier", "ClassifierConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierConfig(Config):
    """Everything but the weights.

    Attributes:
        labels: Names of the outputs, in order.
        network: Name in `soundsep.models.NETWORKS`.
        frontend: Settings of the features.
        activation: ``"softmax"`` where exactly one label holds, ``"sigmoid"`` where any number may.
        window_seconds: Length of audio the network hears at once.
        hop_seconds: Step between the windows of a longer clip.
        padding: How a clip shorter than one window is extended at its end.
    """

    labels: tuple[str, ...]
    network: str
    frontend: MelConfig = field(default_factory=MelConfig)
    activation: Literal["softmax", "sigmoid"] = "softmax"
    window_seconds: float = 5.0
    hop_seconds: float = 2.5
    padding: Literal["zero", "reflect"] = "zero"

    def __post_init__(self) -> None:
        """Reject settings that contradict each other.

        Raises:
            ConfigError: labels are missing or double, or a length is out of range.
        """
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ConfigError("ClassifierConfig.labels must hold at least one, each once")
        if not 0 < self.hop_seconds <= self.window_seconds <= 3_600:
            raise ConfigError(
                "ClassifierConfig needs 0 < hop_seconds <= window_seconds <= 3600, got "
                f"{self.hop_seconds} and {self.window_seconds}"
            )
        if self.hop_seconds * self.frontend.sample_rate < 1:
            raise ConfigError("ClassifierConfig.hop_seconds is shorter than one sample")
        if self.activation not in ("softmax", "sigmoid") or self.padding not in ("zero", "reflect"):
            raise ConfigError("ClassifierConfig: activation or padding is not one of those listed")


class Classifier(nn.Module):
    """Waveform in, one logit a label out.

    Args:
        config: Settings; the network starts with random weights.

    Shape:
        waveform: (batch, time), mono, at `sample_rate`. Returns logits (batch, n_labels).

    Examples:
        >>> import torch
        >>> model = Classifier(ClassifierConfig(labels=("dog", "rain"), network="resnet18"))
        >>> model(torch.zeros(3, 16_000)).shape
        torch.Size([3, 2])
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.frontend = MelFrontend(config.frontend)
        self.network = build_network(config.network, len(config.labels))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return self.config.labels

    @property
    def sample_rate(self) -> int:
        """Rate the waveform must have, in Hz."""
        return self.config.frontend.sample_rate

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits, (batch, n_labels)."""
        return self.network(self.frontend(waveform))

    def embed(self, waveform: Tensor) -> Tensor:
        """What the last layer sees, (batch, embedding_dim)."""
        return self.network.embed(self.frontend(waveform))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Scores from 0 to 1 by the config's activation; the shape stays."""
        return logits.softmax(dim=-1) if self.config.activation == "softmax" else logits.sigmoid()

    def predict(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1, (batch, n_labels); for audio files see `soundsep.Pipeline`."""
        return self.probabilities(self(waveform))
