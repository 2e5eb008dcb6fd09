"""The table of published checkpoints: data only. Accuracy lives in the results files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = ["PUBLISHED", "PublishedFile", "PublishedModel", "published_results"]


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of a checkpoint, and what it must be byte for byte.

    Attributes:
        name: Name inside the checkpoint's folder.
        sha256: All 64 digits, lower case.
        size: In bytes.
    """

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedModel:
    """One checkpoint that `from_pretrained` knows by name.

    Attributes:
        name: What a user types; also the folder's name under ``weights/`` and on mirrors.
        description: One line for lists.
        licence: What may be done with the weights, and why.
        files: ``model.safetensors`` and ``config.json``.
    """

    name: str
    description: str
    licence: str
    files: tuple[PublishedFile, ...]


_ESC50_LICENCE = (
    "code and network MIT; the weights inherit CC BY-NC 3.0 from ESC-50: non-commercial use only"
)

# `sha256sum FILE` and `wc -c FILE` give the two numbers of a line.
# fmt: off
_MODELS = (
    PublishedModel(
        name="esc50-resnet34",
        description="ResNet-34 on log-mel features: the 50 environmental sounds of ESC-50",
        licence=_ESC50_LICENCE,
        files=(
            PublishedFile("model.safetensors", "361d08b43368072a1897071ed3004ca964bd37584a7fbfeff03d793c486f9631", 42665220),  # noqa: E501
            PublishedFile("config.json", "c78bb2a8d3b80341cabf314d5bce5d051100c818fc4d7daa57d3d5a998374968", 1549),  # noqa: E501
        ),
    ),
)
# fmt: on

PUBLISHED: dict[str, PublishedModel] = {model.name: model for model in _MODELS}


def published_results() -> dict[str, dict[str, Any]]:
    """What each model was measured to reach, from the file that ``dev.py results`` writes."""
    text = resources.files("soundsep").joinpath("published_results.json").read_text("utf-8")
    results: dict[str, dict[str, Any]] = json.loads(text)
    return results
