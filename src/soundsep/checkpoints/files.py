"""The two files of a checkpoint, read as untrusted: ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import json
import math
import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from soundsep.config import Config
from soundsep.errors import ConfigError, WeightsError
from soundsep.files import replacing
from soundsep.names import local_path

__all__ = [
    "CONFIG_NAME",
    "WEIGHTS_NAME",
    "read_config",
    "read_weights",
    "settings_in",
    "write_checkpoint",
]

C = TypeVar("C", bound=Config)

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
_MAX_CONFIG_BYTES = _MAX_HEADER_BYTES = 1 << 20
_FLOATS, _INTEGERS = ("F64", "F32", "F16", "BF16"), ("I64", "I32", "I16", "I8", "U8")


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the JSON object in a file of at most 1 MiB.

    Args:
        path: The file.

    Raises:
        WeightsError: the file is missing, too large, or not a JSON object of finite numbers.
    """
    data = _read(Path(path), limit=_MAX_CONFIG_BYTES)
    try:
        config = json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_doubles,
        )
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path} is not valid JSON: {error}; download or save it again"
        ) from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: expected a JSON object, got {type(config).__name__}")
    return config


def settings_in(content: Mapping[str, Any], kind: type[C], *, key: str, path: Path) -> C:
    """The settings in a ``config.json``, beside which stand its format and version alone.

    Args:
        content: The file, as `read_config` reads it.
        kind: Class of the settings.
        key: Where they stand.
        path: Where the file lies, for messages.

    Raises:
        ConfigError: a setting is unknown or has a wrong value.
    """
    if unknown := sorted(set(content) - {"format", "format_version", key}):
        raise ConfigError(f"{path}: unknown {', '.join(map(repr, unknown))}")
    try:
        return kind.from_dict(content.get(key) or {})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_weights(
    path: str | os.PathLike[str], *, like: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, on the CPU, floating-point ones as float32.

    Args:
        path: The file.
        like: Expected contents, usually a ``state_dict()``: the same names and shapes, and floats
            or integers alike. The file's header is compared with it before anything else is read.

    Shape:
        Returns tensors by name, each of the shape that the file states.

    Raises:
        WeightsError: the file is missing, damaged, not a safetensors file, holds NaN or Inf, or
            does not hold what ``like`` does.
    """
    path = Path(path)
    # Read into memory, not mapped: the file may be overwritten while the tensors live.
    data = _read(path, limit=None if like is None else _checked_size(path, like))
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = tensor.float()
        _require_finite(name, tensors[name], f"{path} holds")
    return tensors


def _checked_size(path: Path, like: Mapping[str, Tensor]) -> int:
    """Compare the file's header with ``like``, and return the largest size the file may have."""
    _require_file(path)
    try:
        with path.open("rb") as file:
            (n_bytes,) = struct.unpack("<Q", file.read(8))
            if n_bytes > _MAX_HEADER_BYTES:
                raise ValueError(f"its header claims {n_bytes} bytes")
            header = json.loads(file.read(n_bytes))
        about = header.pop("__metadata__", {}) if isinstance(header, dict) else None
        if not isinstance(about, dict):
            raise ValueError("its header is no JSON object of tensors and notes")
        notes = sorted(set(about) - {"format"})
        found = {name: (str(e["dtype"]), tuple(e["shape"])) for name, e in header.items()}
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error}") from error
    except (struct.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path, error) from error
    # Some readers import what such notes name, so a file that has them may be an attack on those.
    faults = [f"a note of {name[:80]!r}, where only 'format' is known" for name in notes]
    faults += [f"no {name!r}" for name in like.keys() - found.keys()]
    faults += [f"{name[:80]!r}, which is unknown" for name in found.keys() - like.keys()]
    for name in like.keys() & found.keys():
        dtype, shape = found[name]
        wanted = _FLOATS if like[name].is_floating_point() else _INTEGERS
        if shape != tuple(like[name].shape) or dtype not in wanted:
            faults.append(
                f"{name!r} of shape {str(shape)[:80]} and type {dtype[:8]}, expected "
                f"{tuple(like[name].shape)} and one of {', '.join(wanted)}"
            )
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise WeightsError(
            f"the weights in {path} do not fit its {CONFIG_NAME}: found "
            f"{'; '.join(sorted(faults)[:3])}{more}"
        )
    return 8 + int(n_bytes) + sum(8 * tensor.numel() for tensor in like.values())


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path} is damaged or not a safetensors file: {error}; other formats are not read "
        "(pickle can run code); fetch or save it anew"
    )


def write_checkpoint(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    half: bool = False,
) -> None:
    """Write ``config.json`` and ``model.safetensors``; a reader never sees half a file.

    Args:
        folder: Created if it does not exist; files of an older checkpoint are replaced.
        config: Contents of ``config.json``, plain JSON types.
        tensors: Tensors by name, of any shape and device, usually a ``state_dict()``.
        half: Store floating-point tensors as float16; integers stay as they are.

    Raises:
        ConfigError: the config is not plain JSON.
        WeightsError: a tensor holds NaN or Inf or does not fit float16, or writing failed.
    """
    try:
        text = json.dumps(dict(config), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        described = text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the checkpoint's config is not plain JSON: {error}") from error
    stored = {name: _stored(name, tensor, half=half) for name, tensor in tensors.items()}
    try:
        folder = local_path(folder)
        with replacing(folder / WEIGHTS_NAME, folder / CONFIG_NAME, sync=True) as (first, second):
            first.write_bytes(save(stored))
            second.write_bytes(described)
    except (OSError, ConfigError, SafetensorError) as error:  # ConfigError: no such user
        raise WeightsError(f"cannot write a checkpoint to {folder}: {error}") from error


def _stored(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    """A copy in the type to store, because safetensors refuses tensors that share memory."""
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
        _require_file(path)
        if limit is not None and (size := path.stat().st_size) > limit:
            raise WeightsError(f"{path} is too large: expected at most {limit} bytes, found {size}")
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error}") from error


def _require_file(path: Path) -> None:
    if not path.is_file():  # a pipe would block forever
        raise WeightsError(f"{path} is missing or not a file")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is out of range")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of JSON, of which one reader takes the first of two values, another the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name[:80]!r} is in it twice")
    return content
