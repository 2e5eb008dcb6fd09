"""Which files a model has learnt, so that it is not measured on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from soundsep.datasets import Clip
from soundsep.datasets.array_cache import audio_digest
from soundsep.errors import AudioError
from soundsep.files import parse_json, saving
from soundsep.names import local_path

__all__ = ["LEARNT_NAME", "REPORT_NAME", "file_marks", "learnt_clips", "save_learnt"]

REPORT_NAME = "fit_report.json"  # of `soundsep.fit`, in the folder of the model
LEARNT_NAME = "learnt.json"  # of a training by a recipe, there too
N_DIGITS = 16  # of a sha256


def file_marks(paths: Iterable[Path]) -> frozenset[str]:
    """What `FitReport.learnt` holds of these files: the bytes count, not the names.

    Raises:
        AudioError: a file cannot be read.
    """
    return frozenset(audio_digest(path)[:N_DIGITS] for path in {*paths})


def save_learnt(folder: Path, marks: Iterable[str]) -> None:
    """Write what `learnt_clips` reads beside a model.

    Args:
        folder: The model's folder.
        marks: The `file_marks` of its training clips.

    Raises:
        ConfigError: the file cannot be written.
    """
    with saving(folder / LEARNT_NAME) as temporary:
        temporary.write_text(json.dumps({"learnt": " ".join(sorted(marks))}) + "\n")


def learnt_clips(model: str | Path, clips: Sequence[Clip]) -> list[Clip]:
    """Those of the clips that a model was fitted to, or that are of a file that it was fitted to.

    Args:
        model: A model's folder, as ``soundsep fit`` writes it with its ``fit_report.json``, or
            ``soundsep train`` with ``learnt.json``. A folder without one has learnt none that is
            known.
        clips: Labelled clips. Those that cannot be opened are not told from others.
    """
    marks = _marks(local_path(model))
    if not marks:
        return []

    @cache  # a recording may have thousands of clips
    def is_learnt(path: Path) -> bool:
        try:
            return file_marks([path]) <= marks
        except AudioError:  # whoever measures it leaves it out, or says why not
            return False

    return [clip for clip in clips if is_learnt(clip.path)]


def _marks(folder: Path) -> frozenset[str]:
    for name in (REPORT_NAME, LEARNT_NAME):  # a fit into the folder of a training replaces it
        try:
            content = parse_json((folder / name).read_text("utf-8"))
            return frozenset(str(content["learnt"]).split())
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return frozenset()
