"""What a run needs to go on after a kill: one safetensors file, replaced atomically."""

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
from soundsep.files import replacing, sweep

__all__ = ["load_state", "make_folder", "save_state"]


def make_folder(path: str | Path) -> Path:
    """A folder to write to, made if it is not there.

    Raises:
        ConfigError: it cannot be made.
    """
    folder = Path(path)
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
        path: Final name.
        model: Weights being trained.
        ema: Their average.
        optimizer: Its per-parameter tensors are kept; its settings come from the recipe.
        notes: Plain JSON: ``settings`` of the run, and the ``metrics`` so far.

    Raises:
        WeightsError: it cannot be written.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in ema.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in values.items()}
    detached = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    sweep(path.parent)  # a state is large, and a kill leaves half of one
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
    """Put a saved state back into the three, and return the metrics so far.

    Raises:
        ConfigError: it is that of a run with other settings; nothing is changed then.
        WeightsError: the file is damaged or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads(file.metadata()["notes"])
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
        # The fused step walks through memory: moments must lie there as their weights do.
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


def _completed(saved: Any, settings: Mapping[str, Any]) -> Any:
    """The settings of a run, with those that an earlier version did not have switched off.

    A setting that comes later must do nothing while it is 0, false or null.
    """
    if not isinstance(saved, dict) or not isinstance(saved.get("recipe"), dict):
        return saved
    later = {k: v for k, v in settings["recipe"].items() if k not in saved["recipe"] and not v}
    return saved | {"recipe": saved["recipe"] | later}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
