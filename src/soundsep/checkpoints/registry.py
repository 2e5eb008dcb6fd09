"""The table of published checkpoints: data only. What we measured lives in the results file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = [
    "DEFAULT_MODEL",
    "PUBLISHED",
    "PublishedFile",
    "PublishedModel",
    "Upstream",
    "published_results",
]


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
    """What turns somebody else's file into a checkpoint; see `soundsep.checkpoints.efficientat`.

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
        test_fold: The fold of its data set that it has never heard.
        release: The first release of soundsep whose tag holds these very files; None where all of
            them have a URL.
    """

    name: str
    description: str
    licence: str
    files: tuple[PublishedFile, ...]
    upstream: Upstream | None = None
    test_fold: int | None = None
    release: str | None = None


_EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
_EFFICIENTAT_LICENCE = "MIT (EfficientAT, Schmid et al. 2023); labels CC BY 4.0 (AudioSet)"
_ESC50_LICENCE = (
    "code and network MIT; the weights inherit CC BY-NC 3.0 from ESC-50: non-commercial use only"
)
_URBAN_LICENCE = "code and network MIT; the weights inherit CC BY-NC 3.0: non-commercial use only"


def _ours(
    name: str,
    description: str,
    *,
    licence: str,
    test_fold: int,
    weights: tuple[str, int],
    config: tuple[str, int],
    release: str = "0.2.0",
) -> PublishedModel:
    """A model trained here; sha256 and size in bytes of its two files."""
    return PublishedModel(
        name=name,
        description=description,
        licence=licence,
        test_fold=test_fold,
        release=release,
        files=(
            PublishedFile("model.safetensors", *weights),
            PublishedFile("config.json", *config),
        ),
    )


# `sha256sum FILE` and `wc -c FILE` give the two numbers of a file.
# fmt: off
_MODELS = (
    _ours(
        "esc50-resnet34",
        "ResNet-34 on log-mel features: the 50 environmental sounds of ESC-50",
        licence=_ESC50_LICENCE,
        test_fold=5,
        weights=("bc059ee4c90ca0e5a029a6ae69c5402687f4385c17197f65aab9b6f50731cbb6", 42665220),
        config=("fd058de171791ef3f112c891735cdbce6116a1dc244601ddfa3ed2f45d89fe2b", 1638),
    ),
    _ours(
        "esc50-mn04-fold1",
        "MobileNetV3 that has learnt AudioSet: ESC-50, fold 1 never heard",
        licence=_ESC50_LICENCE,
        test_fold=1,
        weights=("d8b567ebaea472a97d069dd551ebd3d11170f87bfe1f0d4a697b07e9ca0b4990", 1236916),
        config=("420f42c53843fe67371c25f53146f98247ac9abd6b63a310f0fef174f2482225", 1563),
    ),
    _ours(
        "esc50-mn04-fold2",
        "MobileNetV3 that has learnt AudioSet: ESC-50, fold 2 never heard",
        licence=_ESC50_LICENCE,
        test_fold=2,
        weights=("9309766743423136839f035bc64ccfcc50537f6c1980478019716eae8cf98f31", 1236916),
        config=("07e4b8ef8f4dce023a0fb4af5ccac3e52c003413b0c5161c66fb4922d75779ed", 1565),
    ),
    _ours(
        "esc50-mn04-fold3",
        "MobileNetV3 that has learnt AudioSet: ESC-50, fold 3 never heard",
        licence=_ESC50_LICENCE,
        test_fold=3,
        weights=("39a71c3eae3a861bf8f61946f5317756bdb91950ef466aa4c60f16283f87fc22", 1236916),
        config=("5b2547edb4d6ed3c8db5259e4d51c623c4d4953dc5b273587a376f584ba6bc45", 1564),
    ),
    _ours(
        "esc50-mn04-fold4",
        "MobileNetV3 that has learnt AudioSet: ESC-50, fold 4 never heard",
        licence=_ESC50_LICENCE,
        test_fold=4,
        weights=("8b9e816b636aebc01684fa54b94d57d5252fe0f5dc9603d58ef8be82243ac7ac", 1236916),
        config=("0dd985ac60a8997bf2bef7da2c11f2f75e9895e4a87473e4cc742644213b16be", 1565),
    ),
    _ours(
        "esc50-mn04-fold5",
        "MobileNetV3 that has learnt AudioSet: ESC-50, fold 5 never heard",
        licence=_ESC50_LICENCE,
        test_fold=5,
        weights=("7765212b4ddea837bb45543ddd3ec129c08100302990c24ea026be3ec73c43c4", 1236916),
        config=("b5f1cba07053f233844a9fec226d19cfcbbd7c591ba7e686a4e6e5096fc62057", 1565),
    ),
    _ours(
        "urban11-mn04",
        "the same network: eleven urban sounds of ESC-50 and UrbanSound8K",
        licence=_URBAN_LICENCE,
        test_fold=5,
        weights=("9d0423ba539345c3b4ec69bc824fc3e519977957792cbf94cf0ccbedcd48c50e", 1117030),
        config=("126470e60d9460ab586f736ad91927059caa051abbb60ff86f86ef39bb214dda", 796),
    ),
    _ours(
        "urbansound8k-mn04",
        "the same network: the ten sounds of UrbanSound8K",
        licence=_URBAN_LICENCE,
        test_fold=10,
        weights=("1d4ad8fc07a6c8359c1ae7ed00807c21d82e6daad864085fc9a38e505803242d", 1113956),
        config=("1e6fb3cd36d38957e2ee1af6af1382c869a51337c370bb8b1694f86aa2e0da21", 816),
    ),
    _ours(
        "esc50-mix2",
        "U-Net that takes two environmental sounds apart",
        licence=_ESC50_LICENCE,
        test_fold=5,
        weights=("53afd64eeef2d70af1a090912f2cca55d8a3056a8761527661baeb8e7a32c23d", 5360764),
        config=("7ef9c3253b154fa08e3152ff7a2b6087b83e68b76f777b16d935210476c70fa3", 291),
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
# Of the five models of a five-fold evaluation, the plain name is the last.
PUBLISHED["esc50-mn04"] = PUBLISHED["esc50-mn04-fold5"]

# The model of whoever names none. Its folder is inside the wheel, as pyproject.toml says.
DEFAULT_MODEL = "esc50-mn04"


def published_results() -> dict[str, dict[str, Any]]:
    """What each model was measured to reach, from the file that ``dev.py results`` writes."""
    text = resources.files("soundsep").joinpath("published_results.json").read_text("utf-8")
    results: dict[str, dict[str, Any]] = json.loads(text)
    return results
