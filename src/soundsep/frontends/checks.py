"""Checks of settings and waveforms that all frontends share, with one wording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from soundsep.config import Config, check_range
from soundsep.devices import check_tensor
from soundsep.errors import ConfigError, ShapeError

__all__ = [
    "check_decibels",
    "check_sizes",
    "check_table",
    "check_waveform",
    "own_config",
    "preset",
]

MAX_SIZE = 2**20
MAX_TABLE = 2**22  # numbers
MIN_AMIN = 1e-37

C = TypeVar("C", bound=Config)


def check_waveform(
    waveform: Tensor, *, frontend: str, min_samples: int, table: Tensor | None = None
) -> None:
    """Refuse a waveform that a frontend cannot process.

    Args:
        waveform: Input of the frontend, expected to be (batch, time).
        frontend: Class name, for the message.
        min_samples: Shortest waveform accepted, in samples.
        table: Buffer that the frontend multiplies by, which needs the waveform's type.

    Raises:
        ShapeError: not (batch, time), no clip, not floating point, of another type than ``table``
            (but for that of `torch.autocast`, inside it), of half precision on a CPU, or shorter
            than ``min_samples``.
    """
    check_tensor(frontend, waveform, "(batch, time)")
    if waveform.ndim != 2 or waveform.shape[0] == 0:
        raise ShapeError(
            f"{frontend} expects a floating-point waveform (batch, time), got shape "
            f"{tuple(waveform.shape)}"
        )
    if table is not None and _is_cast(waveform, table):
        table = None
    if table is not None and waveform.dtype != table.dtype:
        raise ShapeError(
            f"{frontend} got a waveform of {waveform.dtype} and computes in {table.dtype}; pass "
            f"waveform.to({table.dtype}), or convert the frontend too"
        )
    if table is not None and waveform.is_cpu and waveform.dtype in (torch.half, torch.bfloat16):
        raise ShapeError(
            f"{frontend} has no Fourier transform of {waveform.dtype} on a CPU; keep the frontend "
            "and the waveform in float32, and run the network inside torch.autocast"
        )
    if waveform.shape[-1] < min_samples:
        raise ShapeError(
            f"{frontend} needs at least {min_samples} samples, got {waveform.shape[-1]}"
        )


def _is_cast(waveform: Tensor, table: Tensor) -> bool:
    """Whether autocast, which has made the waveform, brings it back to the table's float32."""
    kind = waveform.device.type
    return (
        table.dtype == torch.float32 != waveform.dtype
        and torch.is_autocast_enabled(kind)
        and torch.get_autocast_dtype(kind) == waveform.dtype
    )


def check_sizes(config: Config, *names: str) -> None:
    """Refuse counts and lengths that no computer holds.

    Raises:
        ConfigError: one of the fields is no integer, below 1 or above `MAX_SIZE`.
    """
    check_range(config, *names, least=1, most=MAX_SIZE)


def check_table(config: Config, what: str, size: int) -> None:
    """Refuse settings that would need a huge table.

    Args:
        config: Settings, for the message.
        what: Product that is limited, in words.
        size: Its value, in numbers of the table.

    Raises:
        ConfigError: ``size`` is above `MAX_TABLE`.
    """
    if size > MAX_TABLE:
        raise ConfigError(
            f"{type(config).__name__}: {what} must be at most {MAX_TABLE}, got {size}"
        )


def check_decibels(config: Config) -> None:
    """Refuse a logarithm without a floor, and a range that is not one.

    Raises:
        ConfigError: ``amin`` or ``top_db`` is not above 0, or float32 cannot hold ``amin``.
    """
    check_range(config, "amin", least=MIN_AMIN, most=1 / MIN_AMIN)
    check_range(config, "top_db", above=0)


def own_config(config: C | None, kind: type[C]) -> C:
    """Return a frontend's settings unchanged, or the default ones for ``None``.

    Args:
        config: Settings, which are refused if they are of another frontend: many have the same
            fields and would give other features.
        kind: Type of the settings.

    Raises:
        ConfigError: the settings are of another type.
    """
    if config is None:
        return kind()
    if not isinstance(config, kind):
        raise ConfigError(f"expected a {kind.__name__}, got {_told(config, kind)}")
    return config


def _told(config: object, kind: type[Config]) -> str:
    """The type of a wrong config, and how a dictionary becomes one."""
    hint = f"; {kind.__name__}.from_dict makes one of it" if isinstance(config, Mapping) else ""
    return f"a {type(config).__name__}{hint}"


def preset(config: C | str, presets: Mapping[str, C], what: str) -> C:
    """Return settings unchanged, or the preset of that name.

    Args:
        config: Settings, or a key of ``presets``.
        presets: Settings by name.
        what: Kind of preset, for the message.

    Raises:
        ConfigError: no preset has that name, or the settings are of another kind.
    """
    if not isinstance(config, str):
        kind = type(next(iter(presets.values())))
        if not isinstance(config, kind):
            raise ConfigError(
                f"expected a {kind.__name__} or the name of a preset ({', '.join(presets)}), got "
                f"{_told(config, kind)}"
            )
        return config
    if config not in presets:
        raise ConfigError(f"no {what} preset {config!r}; there are {', '.join(presets)}")
    return presets[config]
