"""The models of demucs 4.1, by their names or from a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from soundsep.errors import WeightsError
from soundsep.names import local_path
from soundsep.separator.demucs.bag import DemucsBag, read_bag
from soundsep.separator.demucs.fetch import fetch_demucs
from soundsep.separator.demucs.files import read_network
from soundsep.separator.demucs.package import demucs_module

__all__ = ["DEMUCS_MODELS", "find_demucs"]

# Where demucs 4.1 has them on the Hub.
DEMUCS_MODELS = {
    "htdemucs": "adefossez/HTDemucs",
    "htdemucs_ft": "adefossez/HTDemucs-ft",
    "htdemucs_6s": "adefossez/HTDemucs-6s",
    "hdemucs_mmi": "adefossez/Demucs-hdemucs_mmi",
    "mdx": "adefossez/Demucs-mdx",
    "mdx_extra": "adefossez/Demucs-mdx_extra",
    "mdx_q": "adefossez/Demucs-mdx_q",
    "mdx_extra_q": "adefossez/Demucs-mdx_extra_q",
    "repro_mdx_a": "adefossez/Demucs-repro_mdx_a",
    "repro_mdx_a_hybrid_only": "adefossez/Demucs-repro_mdx_a_hybrid_only",
    "repro_mdx_a_time_only": "adefossez/Demucs-repro_mdx_a_time_only",
}


def find_demucs(name_or_folder: str | os.PathLike[str]) -> nn.Module | None:
    """The models of that name or in that folder, as a bag of demucs.

    Returns:
        ``None`` if there is neither.

    Raises:
        WeightsError: a file is not available, is damaged, or is not what it claims to be.
    """
    if isinstance(name_or_folder, str) and name_or_folder in DEMUCS_MODELS:
        name, repository = name_or_folder, DEMUCS_MODELS[name_or_folder]
        return _assembled(f"{name}.yaml", lambda file: fetch_demucs(name, repository, file))
    try:
        folder = local_path(name_or_folder)
        if not folder.is_dir() or (folder / "config.json").is_file():
            return None
    except (OSError, ValueError):  # too long; no such user's home; no path at all
        return None
    bags = sorted(path.name for path in folder.glob("*.yaml"))
    if len(bags) == 1:
        return _assembled(bags[0], lambda file: folder / file)
    if bags:
        raise WeightsError(f"{folder} holds several bags: {', '.join(bags)}; expected one .yaml")
    if any(folder.glob("*.th")):
        raise WeightsError(
            f"{folder} holds pickled models (.th), which are never read since a pickle can run "
            "code; get the .safetensors and the .yaml of the model from the Hugging Face Hub"
        )
    return None


def _assembled(bag_name: str, locate: Callable[[str], Path]) -> nn.Module:
    bag_path = locate(bag_name)
    bag = read_bag(bag_path)
    networks: dict[str, Any] = {}
    for signature in bag.signatures:
        if signature not in networks:
            networks[signature] = read_network(locate(f"{signature}.safetensors"))
    _check_alike(bag_path, bag, networks)
    models = [networks[signature] for signature in bag.signatures]
    network: nn.Module = demucs_module("apply").BagOfModels(models, bag.weights, bag.segment)
    return network


def _check_alike(path: Path, bag: DemucsBag, networks: dict[str, Any]) -> None:
    kinds = {(tuple(n.sources), n.samplerate, n.audio_channels) for n in networks.values()}
    if len(kinds) > 1:
        raise WeightsError(f"{path}: its models differ in sources, rate or channels: {kinds}")
    n_sources = len(networks[bag.signatures[0]].sources)
    if bag.weights is not None and len(bag.weights[0]) != n_sources:
        raise WeightsError(
            f"{path}: {len(bag.weights[0])} weights per model; expected one for each of the "
            f"{n_sources} sources"
        )
