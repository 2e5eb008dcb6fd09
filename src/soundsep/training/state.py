"""The state from which a run resumes: one safetensors file, replaced atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from soundsep.errors import ConfigError, WeightsError
from soundsep.files import parse_json, replacing, sweep
from soundsep.names import local_path

__all__ = ["load_state", "make_folder", "save_state"]


def make_folder(path: str | Path) -> Path:
    """Create a folder to write to, if it does not exist; ``~`` stands for the home folder.

    Args:
        path: Path of the folder.

    Raises:
        ConfigError: it cannot be created.
    """
    folder = local_path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
    return folder


def save_state(
    path: Path,
    *,
    model: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    notes: Mapping[str, Any],
) -> None:
    """Write the state; the old one stays until the new one is whole.

    Args:
        path: File to write.
        model: Module of all weights that are trained.
        ema: Module of averaged weights.
        optimizer: Optimizer, of which only the tensors per parameter are saved.
        notes: ``settings`` of the run and ``metrics`` so far, as plain JSON types.

    Raises:
        WeightsError: the file cannot be written.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in ema.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in values.items()}
    detached = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    sweep(path.parent)  # states are large, and a killed run leaves part of one
    try:
        with replacing(path) as (temporary,):
            save_file(detached, temporary, metadata={"notes": json.dumps(notes)})
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"cannot write {path}: {error}; free some space and run the "
            "same command, which continues after the last epoch that was written"
        ) from error


def load_state(
    path: Path,
    *,
    settings: Mapping[str, Any],
    model: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> list[dict[str, Any]]:
    """Load a saved state into model, averages and optimizer, and return the metrics so far.

    Args:
        path: File to read.
        settings: Settings of this run.
        model: Module of all weights that are trained.
        ema: Module of averaged weights.
        optimizer: Optimizer of the model.

    Raises:
        ConfigError: the state is that of a run with other settings; nothing is changed then.
        WeightsError: the file is damaged or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = parse_json(file.metadata()["notes"])
            rows: list[dict[str, Any]] = notes["metrics"]
            if _completed(notes["settings"], settings) != settings:
                raise ConfigError(
                    f"{path.parent} holds a run with other settings; choose another folder"
                )
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no dict
        model.load_state_dict(_under("model.", tensors))
        ema.load_state_dict(_under("ema.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimizer.", tensors).items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        # The fused step goes through memory in order, so moments need the layout of their weights.
        for parameter, values in optimizer.state.items():
            for name, value in values.items():
                if value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter).copy_(value)
    except ConfigError:  # a ValueError too
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"cannot resume from {path}: {error}; delete the file to start over"
        ) from error
    return rows


def _completed(saved: Mapping[str, Any], settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a run, in which those that an earlier version lacks are off.

    A setting that is added must have no effect while it is 0, false or null. Digests that an
    earlier version did not note are taken to be the same.
    """
    saved = {k: v for k, v in settings.items() if k.endswith("_sha256")} | dict(saved)
    if not isinstance(saved.get("recipe"), dict):
        return saved
    later = {k: v for k, v in settings["recipe"].items() if k not in saved["recipe"] and not v}
    return saved | {"recipe": saved["recipe"] | later}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
