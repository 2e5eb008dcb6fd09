"""Embeddings of files, computed once for each backbone and kept on disk."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from soundsep.checkpoints.locate import cache_root
from soundsep.classifier import Classifier
from soundsep.classifier.audible import audible_windows
from soundsep.classifier.scoring import embed_waveforms
from soundsep.config import check_choice
from soundsep.datasets import Piece
from soundsep.datasets.array_cache import ArrayCache
from soundsep.datasets.pieces import audio_keys, load_pieces
from soundsep.devices import to_device
from soundsep.digests import code_digest, digest, named_parts
from soundsep.errors import AudioError, ConfigError
from soundsep.models import is_head
from soundsep.progress import progress_bar

__all__ = ["EmbeddingCache", "body_digest", "embed_files", "load_all", "load_clips"]

_Audio = Path | Piece


class EmbeddingCache:
    """One small file per clip, named after the clip's bytes, in a folder named after the backbone.

    A cache never raises: files that are absent, damaged or cannot be written count as not cached.

    Args:
        backbone: Model that computes the embeddings.
    """

    def __init__(self, backbone: Classifier) -> None:
        self.embedding_dim = backbone.network.embedding_dim
        folder = None
        with suppress(ConfigError):  # no home folder
            folder = cache_root() / "embeddings" / body_digest(backbone)[:32]
        self.arrays = ArrayCache(folder)

    def get(self, key: str) -> Tensor | None:
        """The embedding (embedding_dim,) under a key; ``None`` if there is no valid one."""
        array = self.arrays.get(key)
        if array is None or array.shape != (self.embedding_dim,) or array.dtype != np.float32:
            return None
        return torch.from_numpy(array) if np.isfinite(array).all() else None

    def put(self, key: str, embedding: Tensor) -> None:
        """Keep an embedding (embedding_dim,) under a key."""
        self.arrays.put(key, embedding.numpy())


def embed_files(
    backbone: Classifier,
    paths: Sequence[_Audio],
    *,
    device: str | torch.device = "cpu",
    errors: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> tuple[dict[_Audio, Tensor], dict[_Audio, str]]:
    """Embeddings of recordings, from the cache or computed and kept there.

    Args:
        backbone: Model that computes the embeddings; it stays on its device.
        paths: Files, or pieces of them.
        device: Device to compute on, such as ``"cpu"`` or ``"cuda"``.
        errors: ``"raise"`` stops at the first file that cannot be used, ``"skip"`` continues.
        progress: Show a progress bar over the files that are not in the cache.

    Returns:
        The embedding (embedding_dim,) of each file, and the reason for each file skipped.

    Raises:
        AudioError: a file cannot be read, is too short or digital silence, and ``errors`` is
            ``"raise"``.
        ConfigError: the device does not exist, or ``errors`` is another word.
    """
    check_choice("errors", errors, ("raise", "skip"))
    cache = EmbeddingCache(backbone)
    found: dict[_Audio, Tensor] = {}
    skipped: dict[_Audio, str] = {}
    missing: dict[_Audio, str] = {}
    key_of = audio_keys()
    for path in dict.fromkeys(paths):
        try:
            key = key_of(path)
        except AudioError as error:
            if errors == "raise":
                raise
            skipped[path] = str(error)
            continue
        embedding = cache.get(key)
        if embedding is None:
            missing[path] = key
        else:
            found[path] = embedding
    if not missing:
        return found, skipped
    model = to_device(copy.deepcopy(backbone), device).eval()

    def waveforms() -> Iterator[tuple[_Audio, Tensor]]:
        loaded = load_clips(missing, model)
        bar = progress_bar(
            loaded, progress=progress, unit="clip", desc="embedding", total=len(missing)
        )
        for path, waveform in bar:
            if not isinstance(waveform, AudioError):
                yield path, waveform
            elif errors == "raise":
                raise waveform
            else:
                skipped[path] = str(waveform)

    for path, embedding in embed_waveforms(model, waveforms(), batch_size=16):
        found[path] = embedding
        cache.put(missing[path], embedding)
    return found, skipped


def load_clips(
    audio: Iterable[_Audio], classifier: Classifier
) -> Iterator[tuple[_Audio, Tensor | AudioError]]:
    """Load files and pieces at the classifier's rate, in the order of `load_pieces`.

    Like a pipeline, it refuses recordings that cannot be read, are shorter than one frame, or are
    digital silence.

    Args:
        audio: Files, or pieces of them.
        classifier: Classifier that will get them.

    Yields:
        The file or piece, and its waveform (time,) or the error.
    """
    for one, waveform in load_pieces(audio, target_rate=classifier.sample_rate):
        if isinstance(waveform, AudioError):
            yield one, waveform
        elif waveform.shape[0] < classifier.config.min_samples:
            yield one, AudioError(f"{one} is too short to learn from: {len(waveform)} samples")
        elif not audible_windows(classifier, waveform, gain=1.0):
            yield one, AudioError(f"{one} is digital silence, from which there is nothing to learn")
        else:
            yield one, waveform


def load_all(audio: Iterable[_Audio], classifier: Classifier) -> dict[_Audio, Tensor]:
    """The waveforms of `load_clips`, held in memory.

    Args:
        audio: Files, or pieces of them.
        classifier: Classifier that will get them.

    Returns:
        The waveform (time,) of each file or piece.

    Raises:
        AudioError: a file cannot be used.
    """
    found = {}
    for one, waveform in load_clips(audio, classifier):
        if isinstance(waveform, AudioError):
            raise waveform
        found[one] = waveform
    return found


def body_digest(classifier: Classifier) -> str:
    """A hash that differs between classifiers whose embeddings may differ, 64 hex digits.

    Args:
        classifier: Classifier whose layers before the head, config and code are hashed.
    """
    config = classifier.config.to_dict()
    for name in ("labels", "activation", "temperature", "thresholds", "median_seconds"):
        del config[name]  # they come after the embedding
    code = code_digest("audio", "frontends", "models", "classifier")
    body = {name: value for name, value in classifier.state_dict().items() if not is_head(name)}
    return digest(json.dumps([code, config], sort_keys=True), *named_parts(body))
