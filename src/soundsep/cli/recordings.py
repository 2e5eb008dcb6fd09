"""The recordings that a command line names, and where the output of each goes."""

from __future__ import annotations

import argparse
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.console import note
from soundsep.cli.startup import import_torch
from soundsep.errors import ConfigError

if TYPE_CHECKING:
    from soundsep.audio import FoundRecordings

__all__ = ["add_recordings", "given_recordings", "note_passed_over", "own_places"]

NOT_RECORDINGS = (".safetensors", ".onnx", ".pt", ".pth", ".th", ".ckpt")


def add_recordings(command: argparse.ArgumentParser) -> None:
    """FILE."""
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="recordings, folders of them, or patterns"
    )


def add_resume(command: argparse.ArgumentParser, about: str) -> None:
    """--resume, --overwrite and --retry-failed.

    Args:
        command: Parser of the command.
        about: Recordings that --resume skips, in words.
    """
    present = command.add_mutually_exclusive_group()
    present.add_argument(
        "--resume",
        action="store_true",
        help=f"continue the output of an earlier run: {about}; name the files as in that run",
    )
    present.add_argument("--overwrite", action="store_true", help="replace an existing output")
    command.add_argument(
        "--retry-failed",
        action="store_true",
        help="with --resume, try the recordings again that failed, such as those of a disk that "
        "was away; what is in the output of them is dropped",
    )


def given_recordings(arguments: argparse.Namespace) -> FoundRecordings:
    """The recordings; files that are passed over are noted.

    Raises:
        ConfigError: no recordings, one of them is a model, or --retry-failed is without --resume.
    """
    if getattr(arguments, "retry_failed", False) and not arguments.resume:
        raise ConfigError("--retry-failed needs --resume")
    import_torch()
    from soundsep.audio import find_recordings

    found = find_recordings(*arguments.files)
    for name in arguments.files:
        if _is_model(name, is_empty=name in found.empty):
            raise ConfigError(
                f"{name} is a model, not a recording; did you mean --model {name}? Recordings are "
                "given without an option"
            )
    if not found.paths:
        raise ConfigError(found.none_found)
    note_passed_over(found.passed_over)
    for folder in found.empty:
        note(f"no recordings in {folder}")
    return found


def note_passed_over(kinds: Counter[str]) -> None:
    """Report in one line what was passed over."""
    from soundsep.audio import passed_over

    if line := passed_over(kinds):
        note(line)


def own_places(places: Mapping[str, str]) -> dict[str, Path]:
    """Where in an output folder the output of each recording goes.

    That is the recording's place without the suffix, or with it where two would collide.

    Args:
        places: Path of each recording relative to the folder that was searched.

    Raises:
        ConfigError: two recordings would collide even with their suffixes.
    """
    short = {path: _without_suffix(place) for path, place in places.items()}
    n_alike = Counter(map(_key, short.values()))
    chosen = {
        path: place if n_alike[_key(place)] == 1 else places[path] for path, place in short.items()
    }
    owners: dict[str, str] = {}
    for path, place in chosen.items():
        if (other := owners.setdefault(_key(place), path)) != path:
            raise ConfigError(
                f"{other} and {path} would both be written to {place}; run them one by one, each "
                "with its own -o, or name the folder that holds both"
            )
    return {path: Path(place) for path, place in chosen.items()}


def _without_suffix(place: str) -> str:
    folder, name = os.path.split(place)
    # The stem of "...wav" is "..", another folder; and Windows drops final dots and spaces.
    root = os.path.splitext(name)[0].rstrip(". ")  # noqa: PTH122
    return os.path.join(folder, root or name)  # noqa: PTH118


def _key(place: str) -> str:
    """Equal for places that are one and the same on some file system."""
    return unicodedata.normalize("NFC", place).casefold()


def _is_model(name: str, *, is_empty: bool) -> bool:
    """Whether a name is that of a model; a folder counts only if it holds no recording."""
    path = Path(name)
    # Unlike a Path, os.path has an answer where permission is missing.
    if os.path.isdir(path):  # noqa: PTH112
        has_config = os.path.isfile(path / "config.json")  # noqa: PTH113
        return is_empty and has_config and any(path.glob("*.safetensors"))
    if os.path.lexists(path):
        return path.suffix.lower() in NOT_RECORDINGS
    from soundsep.checkpoints.registry import PUBLISHED
    from soundsep.separator.demucs.models import DEMUCS_MODELS

    return name in PUBLISHED or name in DEMUCS_MODELS
