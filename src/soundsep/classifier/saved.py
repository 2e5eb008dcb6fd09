"""What the files of a saved classifier hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from soundsep.checkpoints.files import CONFIG_NAME, read_config, settings_in
from soundsep.classifier.config import ClassifierConfig
from soundsep.errors import ConfigError, WeightsError

__all__ = ["checked_config", "readable_state", "written_config"]

FORMAT, FORMAT_VERSION = "soundsep-classifier", 1
# What torch.compile and DataParallel put into the names of what they wrap.
WRAPPER = re.compile(r"(?<=\.)(_orig_mod|module)\.")


def written_config(config: ClassifierConfig) -> dict[str, Any]:
    """The contents of ``config.json``, as `checked_config` reads them."""
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "classifier": config.to_dict()}


def readable_state(
    state: Mapping[str, Tensor], like: Mapping[str, Tensor], config: ClassifierConfig
) -> dict[str, Tensor]:
    """A classifier's state by the names that a reader expects.

    Args:
        state: Its ``state_dict()``; the network may be wrapped by `torch.compile`, for instance.
        like: State of a new classifier with the same config.
        config: Settings of the classifier.

    Raises:
        ConfigError: the network is not the one that the config names.
    """
    named, readable = _shapes(like), dict(state)
    if _shapes(readable) != named:
        readable = {WRAPPER.sub("", name): tensor for name, tensor in state.items()}
    if differing := {name for name, _ in _shapes(readable).items() ^ named.items()}:
        raise ConfigError(
            f"the network is not {config.network!r}, as ClassifierConfig.network has it, so that "
            f"the files could not be read: {len(differing)} names or shapes of weights differ, "
            f"such as {min(differing)}; torch.save(classifier.state_dict(), ...) keeps it"
        )
    return readable


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def checked_config(folder: Path) -> ClassifierConfig:
    """The config in a folder.

    Raises:
        ConfigError: a setting is unknown or has a wrong value.
        WeightsError: there is no config, or not that of a classifier of this version.
    """
    path = folder / CONFIG_NAME
    content = read_config(path)
    if content.get("format") == "soundsep-separator":
        raise WeightsError(
            f"{folder} holds a separator, which names no sounds: pass it as separator= or "
            "--separator, beside a classifier"
        )
    if content.get("format") != FORMAT or content.get("format_version") != FORMAT_VERSION:
        raise WeightsError(
            f"{path} is not a classifier of this version of soundsep: expected "
            f"format {FORMAT!r} version {FORMAT_VERSION}, found {content.get('format')!r} version "
            f"{content.get('format_version')!r}; a newer soundsep may read it"
        )
    return settings_in(content, ClassifierConfig, key="classifier", path=path)
