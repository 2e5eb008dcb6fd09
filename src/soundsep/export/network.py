"""A classifier's network in ONNX Runtime, between a frontend and heads that stay in torch."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from soundsep.checkpoints.cache import cache_root
from soundsep.classifier import Classifier
from soundsep.classifier.inference import with_network
from soundsep.digests import code_digest, digest
from soundsep.errors import ConfigError, DependencyError, ExportError
from soundsep.export.check import TOLERANCE, compare, example_length
from soundsep.export.graph import OPSET, serialised
from soundsep.export.runtime import require
from soundsep.export.session import OwnSession
from soundsep.files import write_bytes
from soundsep.models import FrameNetwork, Network

__all__ = ["onnx_network"]

N_DIGITS = 64  # of the digest before a graph in the cache


def onnx_network(classifier: Classifier) -> Network:
    """The network, embedding in ONNX Runtime on the CPU with as many threads as torch has.

    What comes before and behind stays in torch, so that every frontend will do: its Fourier
    transform is quicker than one that ONNX can express. The graph is kept in the cache under a
    digest of the weights. When it is made, its scores are compared with those of PyTorch.

    Args:
        classifier: Classifier on the CPU, in evaluation mode; it is not changed.

    Raises:
        DependencyError: onnxruntime is not installed; or onnx, and the graph is not in the cache.
        ExportError: the network cannot be expressed in ONNX, or its scores there differ.
    """
    require("onnxruntime")
    example = _example(classifier)
    path = _place(classifier, example)
    data = None if path is None else _read(path)
    if data is not None:
        return _embedding_by(Session(data), classifier.network)
    require("onnx")
    name = classifier.config.network
    try:
        trunk = _Trunk(classifier.network).float()
        axes = {"features": {0: "batch", 2: "frames"}, "embedding": {0: "batch"}}
        if isinstance(classifier.network, FrameNetwork):
            axes["embedding"][1] = "frames"
        with torch.device("cpu"):  # where the classifier is, whatever the default
            data = serialised(trunk, example.float(), axes)
            network = _embedding_by(Session(data), classifier.network)
            found = compare(
                classifier,
                with_network(classifier, network),
                frames=isinstance(network, FrameNetwork),
            )
    except DependencyError:
        raise
    except Exception as error:  # those of torch, onnx and onnxruntime have no common root
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f'network {name!r} cannot be run in ONNX Runtime: {reason}; use runtime="torch"'
        ) from error
    if not found.max_difference <= TOLERANCE:  # also refuses NaN
        raise ExportError(
            f"network {name!r} does not give PyTorch's scores in ONNX Runtime: expected a "
            f"difference of at most {TOLERANCE:g}, found {found.max_difference:.2g} on "
            f'{found.n_checks} synthetic clips; use runtime="torch"'
        )
    if path is not None:
        with suppress(OSError):  # the next process makes it again
            write_bytes(path, digest(data).encode() + data)
    return network


class Session:
    """A graph with one input and one output in ONNX Runtime, with torch's number of threads.

    Args:
        data: The serialised graph.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._session = OwnSession()

    def __call__(self, features: Tensor) -> Tensor:
        """The output for one input (batch, ...), on the CPU."""
        n_threads = torch.get_num_threads()
        session = self._session.of(lambda: self._started(n_threads), n_threads)
        batch = features.detach().float().contiguous().numpy()
        (found,) = session.run(None, {"features": batch})
        return torch.from_numpy(found).to(features.dtype)

    def _started(self, n_threads: int) -> Any:
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = n_threads
        # Between two batches torch's threads compute features, on the same cores.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return runtime.InferenceSession(self._data, options, providers=["CPUExecutionProvider"])


class _Trunk(nn.Module):
    """A network without its heads, on a copy of its weights."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = copy.deepcopy(cast(nn.Module, network))

    def forward(self, features: Tensor) -> Tensor:
        """Features to embeddings, of frames if the network has any."""
        network = self.network
        if isinstance(network, FrameNetwork):
            return network.embed_frames(features)
        return cast(Network, network).embed(features)


def _embedding_by(session: Session, network: Network) -> Network:
    """The network with its embeddings from the session; it shares its heads with the one given."""
    clone = copy.copy(network)
    vars(clone)["embed_frames" if isinstance(network, FrameNetwork) else "embed"] = session
    return clone


def _example(classifier: Classifier) -> Tensor:
    n_samples = example_length(classifier)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, n_samples, generator=generator, dtype=torch.float32, device="cpu")
    dtype = next(cast(nn.Module, classifier.network).parameters()).dtype
    with torch.no_grad(), torch.device("cpu"):
        features: Tensor = classifier.frontend((0.1 * noise).to(dtype))
    return features


def _place(classifier: Classifier, example: Tensor) -> Path | None:
    """Where the graph is kept, by all that it depends on; ``None`` where no cache is known."""
    config = classifier.config
    settings = f"{config.network} {example.shape[1]} {OPSET} {torch.__version__} "
    weights = cast(nn.Module, classifier.network).state_dict()
    parts = (part for name, tensor in weights.items() for part in (name, tensor.float()))
    key = digest(settings, code_digest("models"), code_digest("export"), *parts)
    try:
        return cache_root() / "onnx" / f"{key}.onnx"
    except ConfigError:
        return None


def _read(path: Path) -> bytes | None:
    """A graph in the cache; ``None`` where there is none, or what lies there is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, data = content[:N_DIGITS], content[N_DIGITS:]
    return data if head == digest(data).encode() else None
