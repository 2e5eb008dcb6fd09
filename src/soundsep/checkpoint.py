"""Checkpoints on disk: a folder with ``config.json`` and ``model.safetensors``; never pickle."""

from __future__ import annotations

import json
import math
import os
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from soundsep.download import cache_folder, find_local, find_published, is_offline, mismatch
from soundsep.errors import ConfigError, WeightsError
from soundsep.upstream import read_efficientat
from soundsep.weights import PUBLISHED, PublishedModel, Upstream

__all__ = [
    "CONFIG_NAME",
    "WEIGHTS_NAME",
    "read_config",
    "read_weights",
    "resolve",
    "write_checkpoint",
]

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
_MAX_CONFIG_BYTES = 1 << 20
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def resolve(name_or_folder: str | os.PathLike[str], *, progress: bool = True) -> Path:
    """Local folder that holds ``config.json`` and ``model.safetensors``.

    A name in `soundsep.weights.PUBLISHED` comes first, so that what it means never depends on the
    current folder (write ``./name`` for a folder so called); then an existing folder, taken as it
    is; then ``org/repo`` on the Hugging Face Hub.

    Args:
        name_or_folder: Published name, folder, or ``org/repo``. A `Path` is always a folder.
        progress: Show a bar on standard error while downloading.

    Raises:
        ConfigError: the name is none of the three.
        WeightsError: the checkpoint cannot be had, lacks a file, or is not what was published.
    """
    text = os.fspath(name_or_folder)
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        raise ConfigError(_unknown(text))
    if isinstance(name_or_folder, str) and text in PUBLISHED:
        model = PUBLISHED[text]
        if model.upstream is not None:
            return _converted(model, model.upstream, progress=progress)
        return find_published(model, progress=progress)
    try:
        folder = Path(text).expanduser()
        exists = folder.is_dir()
    except (OSError, RuntimeError) as error:  # too long; no such user's home
        raise WeightsError(f"cannot look for the folder {text!r}: {error}") from error
    if exists:
        return _complete(folder, f"the folder {text!r}")
    if not isinstance(name_or_folder, str) or _looks_like_path(text):
        found = "a file; name the folder around it" if folder.exists() else "nothing"
        raise WeightsError(
            f"no checkpoint at {text!r}: expected a folder with {CONFIG_NAME} and {WEIGHTS_NAME}, "
            f"found {found} (current folder: {Path.cwd()})"
        )
    if _HUB_ID.fullmatch(text) and ".." not in text and "--" not in text:
        return _from_hub(text)
    raise ConfigError(_unknown(text))


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object in a file of at most 1 MiB.

    Raises:
        WeightsError: the file is missing, too large, or not a JSON object of finite numbers.
    """
    data = _read(Path(path), limit=_MAX_CONFIG_BYTES)
    try:
        config = json.loads(
            data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not valid JSON: {error}; fetch or save it anew") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: expected a JSON object, got {type(config).__name__}")
    return config


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; half precision comes back as float32.

    Raises:
        WeightsError: the file is missing, damaged, no safetensors file, or holds NaN or Inf.
    """
    # From bytes and not mapped: the file may be overwritten while the tensors live.
    data = _read(Path(path))
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} is damaged or not a safetensors file: {error}; other formats are not read "
            "(pickle can run code); fetch or save it anew"
        ) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.element_size() < 4:
            tensors[name] = tensor.float()
        _require_finite(name, tensors[name], f"{path} holds")
    return tensors


def write_checkpoint(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    half: bool = False,
) -> None:
    """Write ``config.json`` and ``model.safetensors``; a reader never sees half a file.

    Args:
        folder: Made where it does not exist; files of an older checkpoint are replaced.
        config: Plain JSON.
        tensors: Usually a ``state_dict()``.
        half: Store floating-point tensors as float16; integers stay what they are.

    Raises:
        ConfigError: the config is not plain JSON.
        WeightsError: a tensor holds NaN or Inf or does not fit float16, or writing failed.
    """
    try:
        text = json.dumps(dict(config), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        described = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the checkpoint's config is not plain JSON: {error}") from error
    weights = save({name: _stored(name, tensor, half=half) for name, tensor in tensors.items()})
    folder = Path(folder)
    contents = {folder / WEIGHTS_NAME: weights, folder / CONFIG_NAME: described}
    temporary = {path: path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp") for path in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in contents.items():
            with temporary[path].open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())  # else a power cut can leave the new name on no bytes
        for path in contents:
            os.replace(temporary[path], path)
    except OSError as error:
        raise WeightsError(f"cannot write a checkpoint to {folder}: {error}") from error
    finally:
        for path in temporary.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _stored(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    """A copy as it goes to disk; a copy, because safetensors refuses tensors that share memory."""
    copy = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    _require_finite(name, copy, "the checkpoint to be written holds")
    if not half or not copy.is_floating_point():
        return copy
    short = copy.to(torch.float16)
    if not short.isfinite().all():
        raise WeightsError(
            f"tensor {name!r} does not fit float16: expected values up to 65504, found "
            f"{copy.abs().max().item():g}; write it with half=False"
        )
    return short


def _require_finite(name: str, tensor: Tensor, where: str) -> None:
    if not (finite := tensor.isfinite()).all():
        raise WeightsError(
            f"{where} NaN or Inf in tensor {name!r}: expected finite numbers, found "
            f"{int((~finite).sum())} of {tensor.numel()} that are not; it is damaged, or its "
            "training diverged"
        )


def _read(path: Path, *, limit: int | None = None) -> bytes:
    try:
        if not path.is_file():  # also keeps a pipe from blocking for ever
            raise WeightsError(f"{path} is missing or not a file")
        if limit is not None and (size := path.stat().st_size) > limit:
            raise WeightsError(f"{path} is too large: expected at most {limit} bytes, found {size}")
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error}") from error


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is out of range")
    return value


def _looks_like_path(text: str) -> bool:
    separators = text.count("/") + text.count(os.sep if os.sep != "/" else "\\")
    return text.startswith((".", "/", "~", "\\")) or separators > 1 or Path(text).is_absolute()


def _unknown(name: object) -> str:
    return (
        f"no checkpoint is called {name!r}: expected one of {', '.join(sorted(PUBLISHED))}, a "
        f"folder with {CONFIG_NAME} and {WEIGHTS_NAME}, or org/repo on the Hugging Face Hub"
    )


def _complete(folder: Path, what: str) -> Path:
    lacking = [name for name in (CONFIG_NAME, WEIGHTS_NAME) if not (folder / name).is_file()]
    if lacking:
        raise WeightsError(
            f"{what} is no checkpoint: expected {CONFIG_NAME} and {WEIGHTS_NAME}, "
            f"lacking {' and '.join(lacking)} (looked in {folder})"
        )
    return folder


def _converted(model: PublishedModel, upstream: Upstream, *, progress: bool) -> Path:
    """Folder of the checkpoint that somebody else's file was, or is now, converted to."""
    result = replace(model, files=upstream.converted)
    if result.files and (found := find_local(result)) is not None:
        return found
    source = find_published(model, progress=progress) / model.files[0].name
    config, tensors = read_efficientat(source, upstream.network)
    folder = cache_folder(result)
    write_checkpoint(folder, config, tensors)
    for file in result.files:
        if problem := mismatch(folder / file.name, file):
            raise WeightsError(
                f"{folder / file.name}, just converted from {source}, is not what was published: "
                f"{problem}; another version of safetensors may write other bytes"
            )
    return folder


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download  # slow to import, and few need it

    try:
        folder = snapshot_download(
            repository, allow_patterns=[CONFIG_NAME, WEIGHTS_NAME], local_files_only=is_offline()
        )
    except Exception as error:  # hub errors stem from requests or httpx, by its version
        hint = " SOUNDSEP_OFFLINE or HF_HUB_OFFLINE is set." if is_offline() else ""
        raise WeightsError(
            f"cannot fetch {CONFIG_NAME} and {WEIGHTS_NAME} of {repository!r} from the Hugging "
            f"Face Hub: {error}.{hint} There is no folder of that name either"
        ) from error
    return _complete(Path(folder), f"{repository!r} on the Hugging Face Hub")
