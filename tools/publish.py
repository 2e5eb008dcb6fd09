#!/usr/bin/env python3
"""Write the registry of published models from the folders of weights/.

    python tools/publish.py           write src/soundsep/checkpoints/registry.json
    python tools/publish.py --check   only see that it agrees with the folders
    python tools/publish.py --upstream NAME FILE   pin somebody else's file that is at hand

A folder holds model.safetensors, config.json and the card, README.md, which begins with facts in
YAML; below "soundsep" description, licence, test_fold, and also (other names). A model that is new
gets the release in preparation; one that was released is never changed. Models whose files are
somebody else's have no folder: their entries stay, and --upstream measures such a file and what it
is converted to.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load

from results_file import REPOSITORY, parser_of
from soundsep._version import __version__
from soundsep.checkpoints.efficientat import read_efficientat
from soundsep.checkpoints.files import CONFIG_NAME, WEIGHTS_NAME, write_checkpoint
from soundsep.checkpoints.registry import PublishedFile, PublishedModel, read_registry
from soundsep.digests import file_digest
from soundsep.files import write_bytes

__all__ = ["card_facts", "pinned", "published_models", "registry_text"]

WEIGHTS = REPOSITORY / "weights"
REGISTRY = REPOSITORY / "src" / "soundsep" / "checkpoints" / "registry.json"
FACTS = ("description", "licence", "test_fold", "also")
FILES = (WEIGHTS_NAME, CONFIG_NAME)
IN_PREPARATION = __version__.partition(".dev")[0]


def card_facts(folder: Path) -> dict[str, Any]:
    """What the card of a model says to programs, below "soundsep"; ends the program without it."""
    card = folder / "README.md"
    facts = (metadata_load(card) or {}).get("soundsep") if card.is_file() else None
    if not isinstance(facts, dict):
        sys.exit(f"{card} does not begin with facts below 'soundsep'; see another model's card")
    return facts


def published_models(
    weights: Path, older: dict[str, PublishedModel], release: str = IN_PREPARATION
) -> list[PublishedModel]:
    """The models of a folder and, behind them, those whose files are somebody else's.

    Args:
        weights: Folder with one folder for each model.
        older: What the registry says so far.
        release: What is in preparation.
    """
    models = []
    for folder in sorted(path for path in weights.iterdir() if path.is_dir()):
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            sys.exit(f"{folder} lacks {' and '.join(missing)}")
        files = tuple(measured(folder / name) for name in FILES)
        before = older.get(folder.name)
        first = before.release if before and before.files == files else release
        if before and before.files != files and before.release != release:
            sys.exit(
                f"{folder} was released with soundsep {before.release}, with other bytes; put the "
                "new ones into a folder of another name"
            )
        facts = {key: value for key, value in card_facts(folder).items() if key in FACTS}
        model = {"name": folder.name, "files": files, "release": first, **facts}
        models.append(PublishedModel.from_dict(model))
    upstream = [m for name, m in older.items() if m.upstream is not None and name == m.name]
    return models + upstream


def measured(path: Path, url: str | None = None) -> PublishedFile:
    """A file as the registry names it."""
    return PublishedFile(path.name, file_digest(path), path.stat().st_size, url)


def pinned(model: PublishedModel, file: Path) -> PublishedModel:
    """An entry with the digest of somebody else's file, and of what it is converted to."""
    (expected,) = model.files
    if model.upstream is None or file.name != expected.name:
        sys.exit(f"{model.name} is made from {expected.name}, not from {file.name}")
    config, tensors = read_efficientat(file, model.upstream.network)
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder), config, tensors)
        converted = tuple(measured(Path(folder, name)) for name in FILES)
    return replace(
        model,
        files=(measured(file, expected.url),),
        upstream=replace(model.upstream, converted=converted),
    )


def registry_text(models: list[PublishedModel]) -> str:
    """The text of registry.json; what does not apply to a model is left out.

    Raises:
        ConfigError: an entry lacks something, or a name is there twice.
    """

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            optional = ("url", "also", "upstream", "test_fold", "release", "converted")
            return {k: told(v) for k, v in value.items() if v or k not in optional}
        return [told(item) for item in value] if isinstance(value, list) else value

    text = json.dumps({"models": [told(model.to_dict()) for model in models]}, indent=2) + "\n"
    read_registry(text)
    return text


def main() -> None:
    """Write, pin or check."""
    older = read_registry(REGISTRY.read_text(encoding="utf-8"))

    def wanted() -> str:
        return registry_text(published_models(WEIGHTS, older))

    def stale() -> list[str]:
        return [] if wanted() == REGISTRY.read_text(encoding="utf-8") else [str(REGISTRY)]

    parser = parser_of(__doc__, stale, str(WEIGHTS))
    parser.add_argument("--upstream", nargs=2, metavar=("NAME", "FILE"))
    options = parser.parse_args()
    if options.upstream:
        name, file = options.upstream
        if name not in older:
            parser.error(f"{REGISTRY} has no {name}: write an entry with the address first")
        older[name] = pinned(older[name], Path(file))
    text = wanted()
    write_bytes(REGISTRY, text.encode())
    for name, model in read_registry(text).items():
        if model != older.get(name):
            print(f"{name}: written, release {model.release}")


if __name__ == "__main__":
    main()
