"""The table of published checkpoints: data only. What we measured lives in the results file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = ["PUBLISHED", "PublishedFile", "PublishedModel", "Upstream", "published_results"]


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of a checkpoint, and what it must be byte for byte.

    Attributes:
        name: Name inside the checkpoint's folder.
        sha256: All 64 digits, lower case. None where we have not had the file in hand: such a file
            is never downloaded, only taken where somebody has put it, by name and size.
        size: In bytes.
        url: Where others publish it; None for our own release.
    """

    name: str
    sha256: str | None
    size: int
    url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream:
    """What turns somebody else's file into a checkpoint; see `soundsep.upstream`.

    Attributes:
        network: Name in `soundsep.models.NETWORKS` of the network it belongs to.
        reported: The accuracy that its authors report.
        converted: ``model.safetensors`` and ``config.json`` as the conversion writes them; empty
            where that is not known, so that the conversion is done anew for every load.
    """

    network: str
    reported: str
    converted: tuple[PublishedFile, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedModel:
    """One checkpoint that `from_pretrained` knows by name.

    Attributes:
        name: What a user types; also the folder's name under ``weights/`` and on mirrors.
        description: One line for lists.
        licence: What may be done with the weights, and why.
        files: ``model.safetensors`` and ``config.json``, or the one file of ``upstream``.
        upstream: Set where the files are not ours and have to be converted.
        test_fold: The fold of ESC-50 that it has never heard, where it has heard the others.
    """

    name: str
    description: str
    licence: str
    files: tuple[PublishedFile, ...]
    upstream: Upstream | None = None
    test_fold: int | None = None


_EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
_EFFICIENTAT_LICENCE = "MIT (EfficientAT, Schmid et al. 2023); labels CC BY 4.0 (AudioSet)"
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
        test_fold=5,
        files=(
            PublishedFile("model.safetensors", "361d08b43368072a1897071ed3004ca964bd37584a7fbfeff03d793c486f9631", 42665220),  # noqa: E501
            PublishedFile("config.json", "c78bb2a8d3b80341cabf314d5bce5d051100c818fc4d7daa57d3d5a998374968", 1549),  # noqa: E501
        ),
    ),
    PublishedModel(
        name="audioset-mn04",
        description="EfficientAT's MobileNetV3, width 0.4: the 527 sounds of AudioSet",
        licence=_EFFICIENTAT_LICENCE,
        files=(
            PublishedFile("mn04_as_mAP_432.pt", "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c", 4066513, _EFFICIENTAT + "mn04_as_mAP_432.pt"),  # noqa: E501
        ),
        upstream=Upstream(
            network="mn04",
            reported="mean average precision 0.432 on AudioSet's evaluation clips",
            converted=(
                PublishedFile("model.safetensors", "3210638b3359ac2fffa302e07a73699c30721d83671dbfdeedbfd0a66b845ebf", 4005596),  # noqa: E501
                PublishedFile("config.json", "5ca85936bf66de0cbb45272c1c1667a49239b97e52370a2fb9c2115b3292577c", 11643),  # noqa: E501
            ),
        ),
    ),
    PublishedModel(
        name="audioset-mn10",
        description="EfficientAT's MobileNetV3, width 1: the 527 sounds of AudioSet",
        licence=_EFFICIENTAT_LICENCE,
        files=(
            PublishedFile("mn10_as_mAP_471.pt", None, 19708753, _EFFICIENTAT + "mn10_as_mAP_471.pt"),  # noqa: E501
        ),
        upstream=Upstream(
            network="mn10", reported="mean average precision 0.471 on AudioSet's evaluation clips"
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
