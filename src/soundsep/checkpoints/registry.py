"""The published checkpoints, read from ``registry.json``, which ``tools/publish.py`` writes.

Their measured accuracy is in ``published_results.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from soundsep.config import Config, check_range, check_whole
from soundsep.errors import ConfigError

__all__ = [
    "DEFAULT_EVENT_MODEL",
    "DEFAULT_MODEL",
    "PUBLISHED",
    "PublishedFile",
    "PublishedModel",
    "Upstream",
    "list_models",
    "published_results",
    "read_registry",
]

# The models that are used if none is named: to name clips, and to find events in recordings, which
# needs one that hears several sounds or none. pyproject.toml puts their folders into the wheel.
DEFAULT_MODEL = "esc50-mn04"
DEFAULT_EVENT_MODEL = "scenes50-mn04"

_MODEL_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PublishedFile(Config):
    """One file of a checkpoint, pinned to the byte.

    Attributes:
        name: File name inside the checkpoint's folder.
        sha256: All 64 digits, lower case; ``None`` if the file was never available to us. Then it
            is never downloaded, only taken from where the user put it, by name and size.
        size: Number of bytes.
        url: Address at which others publish it; ``None`` for our own release.
    """

    name: str
    sha256: str | None
    size: int
    url: str | None = None

    def _check(self) -> None:
        if not _FILE_NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} is no name of a file of a checkpoint")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"{self.name}: expected 64 hexadecimal digits, got {self.sha256!r}")
        check_whole(f"{self.name}: size", self.size, least=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream(Config):
    """Conversion of a third-party file to a checkpoint; see `soundsep.checkpoints.efficientat`.

    Attributes:
        network: Name in `soundsep.models.NETWORKS` of the network it belongs to.
        reported: Accuracy that its authors report.
        converted: ``model.safetensors`` and ``config.json`` as the conversion writes them; empty if
            they are not known, so that every load converts again.
    """

    network: str
    reported: str
    converted: tuple[PublishedFile, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedModel(Config):
    """One checkpoint that `from_pretrained` knows by name.

    Attributes:
        name: Name to load it by, and of its folder under ``weights/`` and on mirrors.
        description: One line for lists.
        licence: Terms of use of the weights, and their reason.
        files: ``model.safetensors`` and ``config.json``, or the one file of ``upstream``.
        also: Other names for it; the plain name of a five-fold evaluation is one of its models.
        upstream: Conversion, if the files are of other authors.
        test_fold: Fold of its data set that was held out of its training.
        release: First release of soundsep whose tag holds exactly these files; ``None`` if all of
            them have a URL.
    """

    name: str
    description: str
    licence: str
    files: tuple[PublishedFile, ...]
    also: tuple[str, ...] = ()
    upstream: Upstream | None = None
    test_fold: int | None = None
    release: str | None = None

    def _check(self) -> None:
        for name in (self.name, *self.also):
            if not _MODEL_NAME.fullmatch(name):
                raise ConfigError(f"{name!r} is no name of a model, such as {DEFAULT_MODEL!r}")
        check_range(self, "test_fold", least=0)


def read_registry(text: str) -> dict[str, PublishedModel]:
    """Parse ``registry.json`` into models by each of their names.

    Args:
        text: Contents of the file.

    Raises:
        ConfigError: not such JSON, an entry lacks a field, or a name is duplicated.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"registry.json is not JSON: {error}") from error
    entries = content.get("models") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        raise ConfigError("registry.json: expected a list of models")
    models: dict[str, PublishedModel] = {}
    for model in map(PublishedModel.from_dict, entries):
        _require_complete(model)
        for name in (model.name, *model.also):
            if name in models:
                raise ConfigError(f"registry.json: two models are called {name!r}")
            models[name] = model
    return models


def _require_complete(model: PublishedModel) -> None:
    names = [file.name for file in model.files]
    if not model.description or not model.licence:
        raise ConfigError(f"registry.json: {model.name} needs a description and a licence")
    if model.upstream is None:
        complete = names == ["model.safetensors", "config.json"] and model.release is not None
        complete = complete and all(file.sha256 and not file.url for file in model.files)
    else:
        complete = len(names) == 1 and (model.files[0].url or "").startswith("https://")
    if not complete:
        raise ConfigError(
            f"registry.json: {model.name} needs model.safetensors and config.json with their "
            "sha256 and release, or the one file of others with its https address"
        )


PUBLISHED = read_registry(
    (resources.files("soundsep") / "checkpoints" / "registry.json").read_text("utf-8")
)


def list_models(*, all_folds: bool = False) -> tuple[str, ...]:
    """The names of the published models, the recommended ones first.

    Args:
        all_folds: Include the models of single folds, which are for measuring.

    Examples:
        >>> list_models()[:2]
        ('esc50-mn04', 'scenes50-mn04')
    """
    names = sorted(PUBLISHED, key=lambda n: (n != DEFAULT_MODEL, n != DEFAULT_EVENT_MODEL))
    return tuple(name for name in names if all_folds or not _is_copy(name))


def _is_copy(name: str) -> bool:
    """Whether a model belongs to one fold of several."""
    plain, fold, _ = name.rpartition("-fold")
    return bool(fold) and plain in PUBLISHED


def published_results() -> dict[str, dict[str, Any]]:
    """The measured accuracy of each model, from the file that ``dev.py results`` writes."""
    text = resources.files("soundsep").joinpath("published_results.json").read_text("utf-8")
    results: dict[str, dict[str, Any]] = json.loads(text)
    return results
