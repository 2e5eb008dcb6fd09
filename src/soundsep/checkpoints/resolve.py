"""Names to checkpoints: folders with ``config.json`` and ``model.safetensors``; never pickle."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from soundsep.checkpoints.cache import writable
from soundsep.checkpoints.efficientat import read_efficientat
from soundsep.checkpoints.fetch import mismatch
from soundsep.checkpoints.files import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    write_checkpoint,
)
from soundsep.checkpoints.hub import fetch_repository, is_repository
from soundsep.checkpoints.locate import cache_folder, find_local, find_published
from soundsep.checkpoints.registry import PUBLISHED, PublishedModel, Upstream
from soundsep.errors import ConfigError, WeightsError
from soundsep.names import did_you_mean, local_path, path_text

__all__ = ["resolve"]

HEADER_BYTES = 2**20  # of names and shapes, and the config; more than there are


def resolve(name_or_folder: str | os.PathLike[str], *, progress: bool = True) -> Path:
    """Local folder that holds ``config.json`` and ``model.safetensors``.

    A name in `soundsep.checkpoints.registry.PUBLISHED` comes first, so that its meaning never
    depends on the current folder (write ``./name`` for a folder of that name); then an existing
    folder, taken as it is; then ``org/repo`` on the Hugging Face Hub.

    Args:
        name_or_folder: Published name, folder, or ``org/repo``. A `Path` is always a folder.
        progress: Show a bar on standard error while downloading.

    Raises:
        ConfigError: the name is none of the three.
        WeightsError: the checkpoint is not available, lacks a file, or differs from the published
            one.
    """
    if not isinstance(name_or_folder, (str, os.PathLike)):
        raise ConfigError(
            f"expected the name or the folder of a model, got {type(name_or_folder).__name__}; one "
            "that is loaded already goes into the constructor, such as Pipeline(classifier)"
        )
    text = path_text(name_or_folder)
    if not text.strip():
        raise ConfigError(_unknown(text))
    if isinstance(name_or_folder, str) and text in PUBLISHED:
        model = PUBLISHED[text]
        if model.upstream is not None:
            return _converted(model, model.upstream, progress=progress)
        return find_published(model, progress=progress)
    try:
        folder = local_path(name_or_folder)
        exists = folder.is_dir()
    except (OSError, ConfigError) as error:  # too long; no such user's home
        raise WeightsError(f"cannot look for the folder {text!r}: {error}") from error
    if exists:
        return _complete(folder, f"the folder {text!r}")
    if folder.is_file():
        raise WeightsError(_a_file(text, folder))
    if not isinstance(name_or_folder, str) or _looks_like_path(text):
        raise WeightsError(
            f"no checkpoint at {text!r}: expected a folder with {CONFIG_NAME} and {WEIGHTS_NAME}, "
            f"found nothing (current folder: {Path.cwd()})"
        )
    if is_repository(text):
        return _complete(fetch_repository(text), f"{text!r} on the Hugging Face Hub")
    raise ConfigError(_unknown(text))


def _looks_like_path(text: str) -> bool:
    separators = text.count("/") + text.count(os.sep if os.sep != "/" else "\\")
    return text.startswith((".", "/", "~", "\\")) or separators > 1 or Path(text).is_absolute()


def _unknown(name: object) -> str:
    return (
        f"no checkpoint is called {name!r}{did_you_mean(name, PUBLISHED)}: expected one of "
        f"{', '.join(sorted(PUBLISHED))}, a folder with {CONFIG_NAME} and {WEIGHTS_NAME}, or "
        "org/repo on the Hugging Face Hub"
    )


def _a_file(text: str, path: Path) -> str:
    """What to do with a file that was given in place of a folder."""
    if path.name in (CONFIG_NAME, WEIGHTS_NAME):
        hint = f"; name the folder around it, {str(path.parent)!r}"
    elif path.suffix.lower() == ".onnx":
        hint = (
            "; in Python, Pipeline(soundsep.export.OnnxClassifier(path)) runs an exported file, "
            'and runtime="onnx" or --runtime onnx a checkpoint in ONNX Runtime'
        )
    else:
        hint = ""
    return (
        f"{text!r} is a file, not a checkpoint: expected a folder with {CONFIG_NAME} and "
        f"{WEIGHTS_NAME}{hint}"
    )


def _complete(folder: Path, what: str) -> Path:
    lacking = [name for name in (CONFIG_NAME, WEIGHTS_NAME) if not (folder / name).is_file()]
    if lacking:
        raise WeightsError(
            f"{what} is not a checkpoint: expected {CONFIG_NAME} and {WEIGHTS_NAME}, "
            f"lacking {' and '.join(lacking)} (looked in {folder})"
        )
    return folder


def _converted(model: PublishedModel, upstream: Upstream, *, progress: bool) -> Path:
    """Folder of the checkpoint from a third-party file, which is converted if need be."""
    result = replace(model, files=upstream.converted)
    if result.files and (found := find_local(result)) is not None:
        return found
    source = find_published(model, progress=progress) / model.files[0].name
    config, tensors = read_efficientat(source, upstream.network)
    n_bytes = sum(tensor.nbytes for tensor in tensors.values()) + HEADER_BYTES
    folder = writable(cache_folder(result), n_bytes)
    write_checkpoint(folder, config, tensors)
    for file in result.files:
        if problem := mismatch(folder / file.name, file):
            raise WeightsError(
                f"{folder / file.name}, just converted from {source}, is not what was published: "
                f"{problem}; another version of safetensors may write other bytes"
            )
    return folder
