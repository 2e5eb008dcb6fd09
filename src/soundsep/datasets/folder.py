"""A folder of one's own recordings: one subfolder a class."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from soundsep.audio import AUDIO_SUFFIXES
from soundsep.datasets.clip import Clip, FoldedClips
from soundsep.datasets.sources import merge_copies
from soundsep.errors import ConfigError, DatasetError

__all__ = ["AudioFolder", "require_classes"]

LEAST_CLIPS = 2  # of a class: one to learn from, one to be judged on


class AudioFolder(FoldedClips):
    r"""Recordings in one subfolder a class, at any depth below it.

    Clips that were cut from one recording are never independent, so each clip's ``source`` says
    which recording it belongs to; splits keep the clips of a source together. It is

    - what ``group`` finds in the file's name, where it is given;
    - else the folder directly below the class, in ``CLASS/RECORDING/clip.wav``;
    - else the file itself.

    The same recording name under two classes is one recording, and files of the same bytes belong
    together whatever they are called. Copies that were augmented beforehand must carry the name of
    the recording they were made from, where ``group`` finds it. Hidden files and files without an
    audio suffix are passed over; links to folders are not followed below a class.

    Args:
        root: Folder that holds the classes' folders.
        group: Regular expression searched for in each file's name, without its folder. What its
            first group matches is the recording, or the whole match if it has no group: ``^\d+``
            puts ``123-A.wav`` and ``123-B.wav`` together.
        partial: One class, or one clip of a class, will do: for a part of a `Concatenation`.

    Attributes:
        labels: Names of the classes, sorted.
        clips: All clips, sorted by class and path; ``fold`` is 0 in all of them, as a folder has no
            folds. `Concatenation` deals them out.
        notes: What looks like a mistake in the folder but does not prevent its use.

    Raises:
        DatasetError: there is no such folder, it holds fewer than two classes with audio, a class
            has fewer than two clips, ``group`` does not match a file, or a file cannot be read.
        ConfigError: ``group`` is not a regular expression.
    """

    fold_numbers = ()

    def __init__(
        self, root: str | Path, *, group: str | None = None, partial: bool = False
    ) -> None:
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            raise DatasetError(f"no folder {self.root}; expected one with a subfolder for a class")
        self.name = self.root.resolve().name
        try:
            pattern = None if group is None else re.compile(group)
        except re.error as error:
            raise ConfigError(f"group {group!r} is not a regular expression: {error}") from error
        children = sorted(p for p in self.root.iterdir() if not p.name.startswith("."))
        found = {p.name: list(_audio_below(p)) for p in children if p.is_dir()}
        self.labels = tuple(name for name, paths in found.items() if paths)
        notes = [f"{name}/ holds no audio and is no class" for name, p in found.items() if not p]
        if loose := sum(_is_audio(path) for path in children):
            notes.append(f"audio files that lie in no subfolder and were left out: {loose}")
        targets = {label: target for target, label in enumerate(self.labels)}
        clips = [(path, label) for label in self.labels for path in found[label]]
        if not clips or not partial:
            require_classes(self.labels, (label for _, label in clips), where=str(self.root))
        names = [_recording(path, self.root / label, pattern) for path, label in clips]
        sources, doubles = merge_copies(clips, names, self.root)
        self.clips = tuple(
            Clip(path=path, label=label, target=targets[label], fold=0, source=source)
            for (path, label), source in zip(clips, sources, strict=True)
        )
        self.notes = (*notes, *doubles)


def require_classes(labels: Sequence[str], of_clips: Iterable[str], *, where: str) -> None:
    """See that there is something to tell apart, and enough of each.

    Args:
        labels: Names of the classes.
        of_clips: The label of every clip.
        where: What the message calls the data.

    Raises:
        DatasetError: there are fewer than two classes, or a class has fewer than two clips.
    """
    if len(labels) < 2:
        found = f"one class, {labels[0]!r}" if labels else "no subfolder with audio files"
        raise DatasetError(
            f"{where}: expected at least two classes, in a folder each a subfolder with audio "
            f"files ({', '.join(AUDIO_SUFFIXES)}), found {found}; a second one can hold anything "
            "else, such as background"
        )
    counts = Counter(of_clips)
    if few := [f"{label} ({counts[label]})" for label in labels if counts[label] < LEAST_CLIPS]:
        raise DatasetError(
            f"{where}: a class needs at least {LEAST_CLIPS} clips that can be read, better 5 or "
            f"more; too few in {', '.join(few)}: add some, or remove the class"
        )


def _is_audio(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()


def _audio_below(folder: Path) -> Iterator[Path]:
    """Sorted; os.walk does not follow links, so none can lead round in a circle."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (path for name in sorted(names) if _is_audio(path := Path(parent) / name))


def _recording(path: Path, folder: Path, pattern: re.Pattern[str] | None) -> str:
    """Name of the recording that a file in the folder of a class belongs to."""
    if pattern is not None:
        match = pattern.search(path.name)
        name = match and match.group(1 if pattern.groups else 0)
        if not name:
            raise DatasetError(
                f"group {pattern.pattern!r} finds no recording in the name {path.name!r} ({path}); "
                "it must find one in every file's name"
            )
        return name
    parts = path.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else f"{folder.name}/{path.name}"
