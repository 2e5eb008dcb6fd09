"""Embeddings of files, computed once for each backbone and kept on disk."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from soundsep.audio import load_audio
from soundsep.checkpoints.locate import cache_root
from soundsep.classifier import Classifier
from soundsep.classifier.scoring import SILENCE, embed_waveforms
from soundsep.config import check_choice
from soundsep.datasets.array_cache import ArrayCache, audio_digest
from soundsep.devices import to_device
from soundsep.errors import AudioError, ConfigError
from soundsep.files import code_digest, digest
from soundsep.models import is_head
from soundsep.progress import progress_bar

__all__ = ["EmbeddingCache", "body_digest", "embed_files", "load_clip"]


class EmbeddingCache:
    """One small file a clip, named after the clip's bytes, in a folder named after the backbone.

    A cache must never stand in the way: what is absent, damaged or cannot be written is as if there
    were no cache.

    Args:
        backbone: Whose embeddings these are.
    """

    def __init__(self, backbone: Classifier) -> None:
        self.embedding_dim = backbone.network.embedding_dim
        folder = None
        with suppress(ConfigError):  # no home folder
            folder = cache_root() / "embeddings" / body_digest(backbone)[:32]
        self.arrays = ArrayCache(folder)

    def get(self, key: str) -> Tensor | None:
        """The embedding (embedding_dim,) under a key, if a sound one is there."""
        array = self.arrays.get(key)
        if array is None or array.shape != (self.embedding_dim,) or array.dtype != np.float32:
            return None
        return torch.from_numpy(array) if np.isfinite(array).all() else None

    def put(self, key: str, embedding: Tensor) -> None:
        """Keep an embedding."""
        self.arrays.put(key, embedding.numpy())


def embed_files(
    backbone: Classifier,
    paths: Sequence[Path],
    *,
    device: str | torch.device = "cpu",
    batch_size: int = 16,
    errors: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> tuple[dict[Path, Tensor], dict[Path, str]]:
    """Embeddings of audio files: from the cache where they are in it, else computed and kept.

    Args:
        backbone: Its embeddings; it is left where it is.
        paths: The files.
        device: Where to compute.
        batch_size: Windows per forward pass.
        errors: ``"raise"`` stops at the first file that cannot be used, ``"skip"`` goes on.
        progress: Show a progress bar over the files that are not in the cache.

    Returns:
        The embedding (embedding_dim,) of each file, and the reason of each that was skipped.

    Raises:
        AudioError: a file cannot be read, or holds digital silence.
        ConfigError: there is no such device.
    """
    check_choice("errors", errors, ("raise", "skip"))
    cache = EmbeddingCache(backbone)
    found: dict[Path, Tensor] = {}
    skipped: dict[Path, str] = {}
    missing: list[tuple[Path, str]] = []
    for path in dict.fromkeys(paths):
        try:
            key = audio_digest(path)
        except AudioError as error:
            if errors == "raise":
                raise
            skipped[path] = str(error)
            continue
        embedding = cache.get(key)
        if embedding is None:
            missing.append((path, key))
        else:
            found[path] = embedding
    if not missing:
        return found, skipped
    model = to_device(copy.deepcopy(backbone), device).eval()

    def waveforms() -> Iterator[tuple[tuple[Path, str], Tensor]]:
        for path, key in progress_bar(missing, progress=progress, unit="clip", desc="embedding"):
            try:
                waveform = load_clip(path, model)
            except AudioError as error:
                if errors == "raise":
                    raise
                skipped[path] = str(error)
                continue
            yield (path, key), waveform

    for (path, key), embedding in embed_waveforms(model, waveforms(), batch_size=batch_size):
        found[path] = embedding
        cache.put(key, embedding)
    return found, skipped


def load_clip(path: Path, classifier: Classifier) -> Tensor:
    """A file as the classifier hears it, (time,) at its rate.

    Raises:
        AudioError: it cannot be read, is shorter than one frame, or is digital silence; a
            pipeline refuses the same.
    """
    waveform, _ = load_audio(path, target_rate=classifier.sample_rate)
    if waveform.shape[0] < classifier.config.min_samples:
        raise AudioError(f"{path} is too short to learn from: {waveform.shape[0]} samples")
    if waveform.abs().max() <= SILENCE:
        raise AudioError(f"{path} is digital silence, from which there is nothing to learn")
    return waveform


def body_digest(classifier: Classifier) -> str:
    """64 digits that differ between classifiers whose embeddings may differ."""
    config = classifier.config.to_dict()
    for name in ("labels", "activation", "temperature", "thresholds", "median_seconds"):
        del config[name]  # they come after the embedding
    code = code_digest("audio", "frontends", "models", "classifier")
    parts: list[str | Tensor] = [json.dumps([code, config], sort_keys=True)]
    for name, value in classifier.state_dict().items():
        if not is_head(name):
            parts += (f"{name} {tuple(value.shape)} {value.dtype} ", value)
    return digest(*parts)
