"""Networks: features in, logits out; one module per family, built by name from this table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

from torch import Tensor, nn

from soundsep.errors import ConfigError
from soundsep.models.aclnet import AclNet, aclnet, aclnet_05
from soundsep.models.cnn import CNN, cnn4, cnn8, cnn_mel
from soundsep.models.crnn import CRNN, crnn
from soundsep.models.frames import FrameMobileNetV3, mn04_context, mn04_frames
from soundsep.models.mobilenet import MobileNetV3, mn04, mn04_bands, mn10, mn10_bands
from soundsep.models.resnet import ResNet, resnet18, resnet34, resnet50
from soundsep.models.separation import MaskUNet
from soundsep.models.wavecnn import WaveCNN, cnn_wave

__all__ = [
    "ATTENTION",
    "CNN",
    "CRNN",
    "HEAD",
    "NETWORKS",
    "NETWORK_BYTES",
    "WAVEFORM_NETWORKS",
    "AclNet",
    "FrameMobileNetV3",
    "FrameNetwork",
    "MaskUNet",
    "MobileNetV3",
    "Network",
    "ResNet",
    "WaveCNN",
    "aclnet",
    "aclnet_05",
    "build_network",
    "check_features",
    "cnn4",
    "cnn8",
    "cnn_mel",
    "cnn_wave",
    "crnn",
    "is_head",
    "mn04",
    "mn04_bands",
    "mn04_context",
    "mn04_frames",
    "mn10",
    "mn10_bands",
    "resnet18",
    "resnet34",
    "resnet50",
]


class Network(Protocol):
    """What every network offers: features in, embeddings or logits out.

    Attributes:
        embedding_dim: Length of an embedding.
        head: Layers from an embedding to the logits.

    Shape:
        features: a spectrogram (batch, n_mels, frames), or for the networks in `WAVEFORM_NETWORKS`
        the waveform (batch, 1, time).
    """

    embedding_dim: int
    head: nn.Module

    def embed(self, features: Tensor) -> Tensor:
        """Embeddings: the input of the head, (batch, embedding_dim)."""
        ...

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (batch, n_classes)."""
        ...


@runtime_checkable
class FrameNetwork(Protocol):
    """What a network with logits for every frame offers besides those of `Network`.

    Attributes:
        frame_stride: Step from the middle of one output frame to the next, in frames of the
            features. The middle of the first output frame is the first frame of the features.
    """

    frame_stride: int

    def embed_frames(self, features: Tensor) -> Tensor:
        """Embeddings of every frame, (batch, n_frames, embedding_dim)."""
        ...

    def pooled(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the frames and of the whole, from the result of `embed_frames`.

        Shape:
            frames: (batch, n_frames, embedding_dim). Returns (batch, n_frames, n_classes) and
            (batch, n_classes).
        """
        ...


# A literal table: a name found in a file can only choose one of these, never import anything.
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "mn04": mn04,
    "mn04-bands": mn04_bands,
    "mn04-frames": mn04_frames,
    "mn04-context": mn04_context,
    "mn10": mn10,
    "mn10-bands": mn10_bands,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "cnn4": cnn4,
    "cnn8": cnn8,
    "cnn-mel": cnn_mel,
    "crnn": crnn,
    "cnn-wave": cnn_wave,
    "aclnet": aclnet,
    "aclnet-0.5": aclnet_05,
}

# The networks that take the waveform; the others take any kind of spectrogram.
WAVEFORM_NETWORKS = frozenset({"aclnet", "aclnet-0.5", "cnn-wave"})

# Peak memory of a forward pass without gradients, in bytes per number of the features, as measured
# on windows that need hundreds of MiB (short ones need up to 200 MiB more, once). It bounds the
# memory that an untrusted checkpoint may ask for.
NETWORK_BYTES: dict[str, int] = {
    "mn04": 140,
    "mn04-bands": 150,
    "mn04-frames": 150,
    "mn04-context": 150,
    "mn10": 240,
    "mn10-bands": 240,
    "resnet18": 370,
    "resnet34": 400,
    "resnet50": 540,
    "cnn4": 400,
    "cnn8": 240,
    "cnn-mel": 270,
    "crnn": 320,
    "cnn-wave": 340,
    "aclnet": 260,
    "aclnet-0.5": 180,
}


def build_network(name: str, n_classes: int) -> Network:
    """Build a network by name, randomly initialised from torch's global generator.

    Args:
        name: One of `NETWORKS`.
        n_classes: Number of logits.

    Raises:
        ConfigError: no network has that name.
    """
    _check_name(name)
    return cast(Network, NETWORKS[name](n_classes))


# Where a classifier's state, whose network is "network", keeps what depends on its labels.
HEAD, ATTENTION = "network.head", "network.attention"


def is_head(key: str) -> bool:
    """Whether a classifier's weight belongs to the layers that depend on its labels.

    Args:
        key: Key of the weight in the ``state_dict()``.
    """
    return key.startswith((f"{HEAD}.", f"{ATTENTION}."))


def check_features(network: str, kind: str | None) -> None:
    """Refuse a network that does not take the features of a frontend.

    Args:
        network: One of `NETWORKS`.
        kind: ``kind`` of the frontend's config.

    Raises:
        ConfigError: no network has that name, or it does not take these features.
    """
    _check_name(network)
    if (network in WAVEFORM_NETWORKS) != (kind == "waveform"):
        raise ConfigError(
            f"network {network!r} does not take the features of a {kind!r} frontend; those for "
            f"waveforms are {', '.join(sorted(WAVEFORM_NETWORKS))}, all others take spectrograms"
        )


def _check_name(network: str) -> None:
    if network not in NETWORKS:
        raise ConfigError(f"no network {network!r}; there are {', '.join(NETWORKS)}")
