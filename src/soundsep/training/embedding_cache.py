"""Embeddings of files, computed once for each backbone and kept on disk."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from soundsep import __version__
from soundsep.audio import load_audio
from soundsep.classifier import Classifier, to_device
from soundsep.download import cache_root
from soundsep.errors import AudioError, ConfigError
from soundsep.pipeline import SILENCE, embed_waveforms

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
        self.folder: Path | None = None
        with suppress(ConfigError):  # no home folder
            self.folder = cache_root() / "embeddings" / body_digest(backbone)[:32]

    def get(self, key: str) -> Tensor | None:
        """The embedding (embedding_dim,) under a key, if a sound one is there."""
        if self.folder is None:
            return None
        try:
            # Not np.load, which takes a file that begins like a zip archive for one.
            with (self.folder / f"{key}.npy").open("rb") as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
        except (OSError, ValueError):
            return None
        if array.shape != (self.embedding_dim,) or array.dtype != np.float32:
            return None
        return torch.from_numpy(array) if np.isfinite(array).all() else None

    def put(self, key: str, embedding: Tensor) -> None:
        """Keep an embedding; a reader never sees half of it."""
        if self.folder is None:
            return
        stream = io.BytesIO()
        np.save(stream, embedding.numpy(), allow_pickle=False)
        temporary = self.folder / f".{key}.{uuid.uuid4().hex}.tmp"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(stream.getvalue())
                os.replace(temporary, self.folder / f"{key}.npy")
            finally:
                temporary.unlink(missing_ok=True)


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
        batch_size: Windows a forward pass.
        errors: ``"raise"`` stops at the first file that cannot be used, ``"skip"`` goes on.
        progress: Show a progress bar over the files that are not in the cache.

    Returns:
        The embedding (embedding_dim,) of each file, and the reason of each that was skipped.

    Raises:
        AudioError: a file cannot be read, or holds digital silence.
        ConfigError: there is no such device.
    """
    cache = EmbeddingCache(backbone)
    found: dict[Path, Tensor] = {}
    skipped: dict[Path, str] = {}
    missing: list[tuple[Path, str]] = []
    for path in dict.fromkeys(paths):
        try:
            key = _digest(path)
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
    decoded: list[tuple[Path, str]] = []

    def waveforms() -> Iterator[Tensor]:
        for path, key in tqdm(missing, disable=not progress, unit="clip", desc="embedding"):
            try:
                waveform = load_clip(path, model)
            except AudioError as error:
                if errors == "raise":
                    raise
                skipped[path] = str(error)
                continue
            decoded.append((path, key))
            yield waveform

    for i, embedding in enumerate(embed_waveforms(model, waveforms(), batch_size=batch_size)):
        path, key = decoded[i]
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
    if waveform.shape[0] < classifier.config.frontend.win_length:
        raise AudioError(f"{path} is too short to learn from: {waveform.shape[0]} samples")
    if waveform.abs().max() <= SILENCE:
        raise AudioError(f"{path} is digital silence, from which there is nothing to learn")
    return waveform


def body_digest(classifier: Classifier) -> str:
    """64 digits that differ between classifiers whose embeddings may differ."""
    config = classifier.config.to_dict()
    for name in ("labels", "activation", "temperature"):  # they come after the embedding
        del config[name]
    # The version stands for the code that decodes, resamples and computes.
    digest = hashlib.sha256(json.dumps([__version__, config], sort_keys=True).encode())
    for name, value in classifier.state_dict().items():
        if not name.startswith("network.head."):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype} ".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
