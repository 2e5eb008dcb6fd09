"""Networks: features in, logits out; one module per family, built by name from this table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from torch import Tensor, nn

from soundsep.errors import ConfigError
from soundsep.models.mobilenet import MobileNetV3, mn04, mn04_bands, mn10, mn10_bands
from soundsep.models.resnet import ResNet, resnet18, resnet34, resnet50

__all__ = [
    "NETWORKS",
    "MobileNetV3",
    "Network",
    "ResNet",
    "build_network",
    "resnet18",
    "resnet34",
    "resnet50",
]


class Network(Protocol):
    """What every network offers: features (batch, n_mels, frames) in, two kinds of output."""

    embedding_dim: int
    head: nn.Module

    def embed(self, features: Tensor) -> Tensor:
        """(batch, embedding_dim)."""
        ...

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (batch, n_classes)."""
        ...


# A literal table: a name found in a file can only choose one of these, never import anything.
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "mn04": mn04,
    "mn04-bands": mn04_bands,
    "mn10": mn10,
    "mn10-bands": mn10_bands,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}


def build_network(name: str, n_classes: int) -> Network:
    """A network of the table, randomly initialised from torch's global generator.

    Raises:
        ConfigError: no network has that name.
    """
    if name not in NETWORKS:
        raise ConfigError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    return cast(Network, NETWORKS[name](n_classes))
