"""Files of other projects, read as the config and the tensors of a checkpoint.

There is one kind so far: the MobileNetV3 that EfficientAT trained on AudioSet, published as pickled
state dicts. They are unpickled with ``weights_only=True``, which builds tensors and runs no code.

References:
    Schmid et al. (2023), "Efficient large-scale audio tagging via transformer-to-CNN knowledge
    distillation", ICASSP (arXiv 2211.04772).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundsep.devices import forked_rng
from soundsep.errors import WeightsError
from soundsep.frontends import KaldiMelConfig
from soundsep.labels import AUDIOSET_LABELS
from soundsep.models import NETWORKS

__all__ = ["read_efficientat"]

# Softer clips are raised to this level, which was chosen for `esc50-mn04`. Otherwise the best tag
# of seven in ten clips of ESC-50 changes when they are 40 dB softer: data/test_audioset_mn04.py.
CLIP_LEVEL_DB = -35.0


def read_efficientat(path: Path, network: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Convert an AudioSet model of EfficientAT to the contents of a checkpoint.

    Args:
        path: State dict as its authors published it.
        network: Name in `soundsep.models.NETWORKS` of the network it belongs to.

    Returns:
        The contents of ``config.json`` as plain JSON, and the ``state_dict()`` of the
        `soundsep.Classifier`, by names and with shapes of that. The same file gives the same bytes
        on every machine.

    Raises:
        WeightsError: the file is damaged, holds anything but tensors, or its tensors are not those
            of the network.
    """
    with forked_rng():  # the random weights drawn here are replaced
        module = NETWORKS[network](len(AUDIOSET_LABELS))
    names = _names(module)
    content = _unpickle(path)
    if missing := [theirs for theirs in names if theirs not in content]:
        raise WeightsError(_not_fitting(path, network, f"it lacks {missing[0]!r}", len(missing)))
    if surplus := [theirs for theirs in content if theirs not in names]:
        raise WeightsError(_not_fitting(path, network, f"it also has {surplus[0]!r}", len(surplus)))
    ours = module.state_dict()
    for theirs, name in names.items():
        expected, found = _kind(ours[name]), _kind(content[theirs])
        if found != expected:
            raise WeightsError(
                _not_fitting(path, network, f"{theirs!r} is {found} instead of {expected}", 1)
            )
    return _config(network), {f"network.{ours}": content[theirs] for theirs, ours in names.items()}


def _config(network: str) -> dict[str, Any]:
    # Every setting, though most are defaults: a pinned file must not change with a new default.
    # For the same reason a setting that was added later is left out.
    frontend = KaldiMelConfig().to_dict()
    del frontend["level_db"], frontend["min_level_db"]
    return {
        "format": "soundsep-classifier",
        "format_version": 1,
        "classifier": {
            "labels": list(AUDIOSET_LABELS),
            "network": network,
            "frontend": frontend,
            "activation": "sigmoid",
            "temperature": 1.0,
            "window_seconds": 5.0,
            "hop_seconds": 2.5,
            "padding": "reflect",
            "clip_level_db": CLIP_LEVEL_DB,
        },
    }


def _names(module: nn.Module) -> dict[str, str]:
    """EfficientAT's name of every tensor, and ours."""
    blocks = list(module.get_submodule("blocks").children())
    layers = {
        "features.0": "stem",
        f"features.{len(blocks) + 1}": "tail",
        "classifier.2": "head.0",
        "classifier.5": "head.3",
    }
    for n, block in enumerate(blocks):
        present = [k for k, layer in block.named_children() if not isinstance(layer, nn.Identity)]
        for i, layer in enumerate(present):
            theirs, ours = f"features.{n + 1}.block.{i}", f"blocks.{n}.{layer}"
            if layer == "excitation":
                layers[f"{theirs}.conc_se_layers.0.fc1"] = f"{ours}.squeeze"
                layers[f"{theirs}.conc_se_layers.0.fc2"] = f"{ours}.excite"
            else:
                layers[theirs] = ours
    return {
        f"{theirs}.{tensor}": f"{ours}.{tensor}"
        for theirs, ours in layers.items()
        for tensor in module.get_submodule(ours).state_dict()
    }


def _unpickle(path: Path) -> dict[Any, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{path} is damaged, or holds more than tensors, which is never unpickled: {reason}"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a state dict, found {type(content).__name__}")
    return content


def _kind(value: object) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    layout = "" if value.layout == torch.strided and value.device.type == "cpu" else "unusual "
    return f"{layout}{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _not_fitting(path: Path, network: str, what: str, count: int) -> str:
    return (
        f"{path} is no AudioSet model {network!r} of EfficientAT: {what}"
        f"{f' and {count - 1} more of that kind' if count > 1 else ''}; replace the file"
    )
