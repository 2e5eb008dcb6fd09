"""The recordings that a command line names, and what becomes of each."""

from __future__ import annotations

import argparse
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.console import note
from soundsep.errors import ConfigError

if TYPE_CHECKING:
    from soundsep.audio import FoundRecordings

__all__ = ["given_recordings", "note_passed_over", "own_places", "recording_options"]

NOT_RECORDINGS = (".safetensors", ".onnx", ".pt", ".pth", ".th", ".ckpt")


def recording_options(about: str) -> argparse.ArgumentParser:
    """FILE, --resume and --overwrite.

    Args:
        about: What --resume does not do again.
    """
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "files", nargs="+", metavar="FILE", help="recordings, folders of them, or patterns"
    )
    present = parent.add_mutually_exclusive_group()
    present.add_argument(
        "--resume",
        action="store_true",
        help=f"go on with the output of an earlier run: {about}; give the same files by the same "
        "names",
    )
    present.add_argument(
        "--overwrite", action="store_true", help="begin an output that exists anew"
    )
    return parent


def given_recordings(arguments: argparse.Namespace) -> FoundRecordings:
    """The recordings, after a word on whatever is passed over.

    Raises:
        ConfigError: there are none, or one is a model.
    """
    from soundsep.audio import find_recordings, passed_over

    found = find_recordings(*arguments.files)
    for name in arguments.files:
        if _is_model(name, is_empty=name in found.empty):
            raise ConfigError(
                f"{name} is a model and no recording; was --model {name} meant? Recordings follow "
                "without an option"
            )
    note_passed_over(found.passed_over)
    if not found.paths:
        where = ", ".join(found.empty[:3])
        others = passed_over(found.passed_over)
        raise ConfigError(f"no audio files in {where}{f' ({others})' if others else ''}")
    for folder in found.empty:
        note(f"no audio files in {folder}")
    return found


def note_passed_over(kinds: Counter[str]) -> None:
    """Say what was not taken, in one line."""
    from soundsep.audio import passed_over

    if line := passed_over(kinds):
        note(line)


def own_places(places: Mapping[str, str]) -> dict[str, Path]:
    """Where in a folder of outputs that of each recording goes.

    It is the recording's own place without the suffix, or with it where two would have the same.

    Args:
        places: Of each recording.

    Raises:
        ConfigError: two recordings would have the same in any case.
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
                f"{other} and {path} would both be written to {place}; take them one by one, with "
                "another -o, or name the folder that holds both"
            )
    return {path: Path(place) for path, place in chosen.items()}


def _without_suffix(place: str) -> str:
    folder, name = os.path.split(place)
    # Of "...wav" the path's stem is "..", another folder; and Windows drops dots and spaces.
    root = os.path.splitext(name)[0].rstrip(". ")  # noqa: PTH122
    return os.path.join(folder, root or name)  # noqa: PTH118


def _key(place: str) -> str:
    """The same for places that are one on some file system."""
    return unicodedata.normalize("NFC", place).casefold()


def _is_model(name: str, *, is_empty: bool) -> bool:
    """Whether a name is that of a model; a folder only where no recording is in it."""
    path = Path(name)
    if path.is_dir():
        return is_empty and (path / "config.json").is_file() and any(path.glob("*.safetensors"))
    if os.path.lexists(path):
        return path.suffix.lower() in NOT_RECORDINGS
    from soundsep.checkpoints.registry import PUBLISHED
    from soundsep.separator.demucs.models import DEMUCS_MODELS

    return name in PUBLISHED or name in DEMUCS_MODELS
