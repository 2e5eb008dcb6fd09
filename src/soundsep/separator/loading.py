"""Separators of our own on disk."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from soundsep.checkpoints.files import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    read_config,
    read_weights,
    settings_in,
    write_checkpoint,
)
from soundsep.checkpoints.resolve import resolve
from soundsep.devices import forked_rng
from soundsep.errors import ConfigError, WeightsError
from soundsep.models.separation import build_separation_network
from soundsep.separator.config import SeparatorConfig
from soundsep.separator.demucs.models import DEMUCS_MODELS

__all__ = ["load_ours", "save_ours"]

FORMAT, FORMAT_VERSION = "soundsep-separator", 1


def save_ours(
    folder: str | os.PathLike[str], network: nn.Module, config: SeparatorConfig, *, half: bool
) -> None:
    """Write a separator for `load_ours`.

    Raises:
        ConfigError: the network is not the one that the config names.
        WeightsError: a weight is NaN or infinite, or too large for float16, or writing failed.
    """
    if not config.network:
        raise ConfigError(
            "only the networks of soundsep can be saved, by the name in SeparatorConfig.network"
        )
    named = _shapes(_network(config))
    if _shapes(network) != named:
        raise ConfigError(
            f"the network is not {config.network!r}, as SeparatorConfig.network has it: "
            f"{len(_shapes(network).items() ^ named.items())} names or shapes of weights differ"
        )
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "separator": config.to_dict(),
    }
    write_checkpoint(folder, content, network.state_dict(), half=half)


def load_ours(name_or_folder: str | os.PathLike[str]) -> tuple[nn.Module, SeparatorConfig]:
    """A network and its config, from wherever `soundsep.checkpoints.resolve.resolve` finds them.

    Raises:
        ConfigError: the name or a setting in the config is unknown.
        WeightsError: a file is not available, is damaged, or is not what it claims to be.
    """
    try:
        folder = resolve(name_or_folder)
    except ConfigError as error:
        raise ConfigError(f"{error}; models of demucs are {', '.join(DEMUCS_MODELS)}") from error
    config = _checked_config(folder / CONFIG_NAME)
    network = _network(config)
    weights = read_weights(folder / WEIGHTS_NAME, like=network.state_dict())
    network.load_state_dict(weights)
    return network, config


def _network(config: SeparatorConfig) -> nn.Module:
    with forked_rng():  # the weights drawn here are replaced
        return build_separation_network(config.network, n_sources=len(config.sources))


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def _checked_config(path: Path) -> SeparatorConfig:
    content = read_config(path)
    found = (content.get("format"), content.get("format_version"))
    if found[0] == "soundsep-classifier":
        raise WeightsError(
            f"{path.parent} holds a classifier (format 'soundsep-classifier'), which takes nothing "
            "apart"
        )
    if found != (FORMAT, FORMAT_VERSION):
        raise WeightsError(
            f"{path} is not a separator of this version of soundsep: expected format {FORMAT!r} "
            f"version {FORMAT_VERSION}, found {found[0]!r} version {found[1]!r}"
        )
    return settings_in(content, SeparatorConfig, key="separator", path=path)
