"""A folder of your own recordings, one subfolder per class."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from soundsep.audio.find import is_passed_over, kind_passed_over, search_folder
from soundsep.datasets.clip import Clip, FoldedClips
from soundsep.datasets.origins import merge_copies
from soundsep.datasets.slices import recording_in_name
from soundsep.datasets.table import looking_at
from soundsep.errors import ConfigError, DatasetError
from soundsep.names import label_fault, local_path, look_alikes, printable

__all__ = ["AudioFolder", "note_look_alikes", "require_classes"]

MIN_CLIPS = 2  # per class: one for training, one for testing
MAX_LISTED = 10  # classes in a message
# Names of the parts of a data set that was split before.
TRAINING = ("train", "training")
SPLITS = {*TRAINING, "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation"}


class AudioFolder(FoldedClips):
    r"""Recordings in one subfolder per class, at any depth below it.

    Clips that were cut from one recording are never independent, so each clip's ``origin`` says
    which recording it belongs to; splits keep the clips of an origin together. It is

    - what ``group`` finds in the file's name, where it is given;
    - else the folder directly below the class, in ``CLASS/RECORDING/clip.wav``;
    - else what the file's name tells: ``soundsep events --clips`` and other programs name parts so,
      and ``garden-1.wav`` and ``garden-2.wav`` are parts of one unless the class is called garden;
    - else the file itself.

    The same recording name under two classes is one recording, and files of the same bytes belong
    together, whatever their names. Copies augmented beforehand must carry the name of the recording
    they were made from, where ``group`` finds it. Files that are passed over, such as hidden ones
    and those without an audio suffix, are counted; links to folders are not followed below a class.

    Args:
        root: Folder of the classes' folders.
        group: Regular expression searched for in each file's name, without its folder. What its
            first group matches is the recording, or the whole match if it has no group: ``^\d+``
            puts ``123-A.wav`` and ``123-B.wav`` together, and ``.*`` takes every file by itself.
        partial: Allow one class, or one clip per class, for a test set or a part of a
            `Concatenation`.

    Attributes:
        labels: Names of the classes, sorted.
        clips: All clips, sorted by class and path; ``fold`` is 0 in all of them, as a folder has no
            folds. `Concatenation` assigns them.
        passed_over: Number of files of each kind that were passed over.
        notes: Likely mistakes in the folder that do not prevent its use.

    Raises:
        DatasetError: the folder does not exist, it holds fewer than two classes with audio, or
            parts such as ``train`` and ``test`` in their place, a class has fewer than two clips,
            ``group`` does not match a file, or a folder cannot be opened.
        ConfigError: ``group`` is not a regular expression.
    """

    fold_numbers = ()

    def __init__(
        self, root: str | Path, *, group: str | None = None, partial: bool = False
    ) -> None:
        self.root = local_path(root)
        with looking_at(self.root):
            is_folder, exists = self.root.is_dir(), self.root.exists()
        if not is_folder:
            given = f"{self.root} is a file" if exists else f"no folder {self.root}"
            raise DatasetError(f"{given}; expected a folder with a subfolder per class")
        self.name = self.root.resolve().name
        try:
            pattern = None if group is None else re.compile(group)
        except re.error as error:
            raise ConfigError(f"group {group!r} is not a regular expression: {error}") from error
        with looking_at(self.root):
            found, n_loose, self.passed_over = _search(self.root)
        self.labels = tuple(name for name, paths in found.items() if paths)
        notes = [
            f"{printable(name)}/ holds no audio and is not a class"
            for name, paths in found.items()
            if not paths
        ]
        if n_loose:
            notes.append(f"audio files outside of the subfolders, left out: {n_loose}")
        if faults := [fault for label in self.labels if (fault := label_fault(label))]:
            raise DatasetError(f"{self.root}: a class needs another name: {faults[0]}")
        if len(self.labels) > 1 and SPLITS.issuperset(map(str.casefold, self.labels)):
            raise DatasetError(
                f"{self.root}: {' and '.join(self.labels)} are parts of a split, not classes; give "
                f"one of them instead, {_uses(self.root, self.labels)}"
            )
        targets = {label: target for target, label in enumerate(self.labels)}
        clips = [(path, label) for label in self.labels for path in found[label]]
        if not clips:
            above = f"{n_loose} outside of any; if this folder is a class, give the one above it"
            raise DatasetError(
                f"{self.root}: expected a subfolder per class with its audio files, found "
                f"{above if n_loose else 'none'}"
            )
        if not partial:
            require_classes(self.labels, (label for _, label in clips), where=str(self.root))
        names = [_recording(path, self.root / label, pattern) for path, label in clips]
        origins, doubles = merge_copies(clips, names, self.root)
        if pattern is None and (guess := _guessed(clips)):
            notes.append(guess)
        self.clips = tuple(
            Clip(path=path, label=label, target=targets[label], fold=0, origin=origin)
            for (path, label), origin in zip(clips, origins, strict=True)
        )
        self.notes = (*notes, *doubles, *note_look_alikes(self.labels))


def _uses(root: Path, parts: Sequence[str]) -> str:
    """What two parts are for: whoever asks may want to learn or to measure."""
    learn = next((part for part in parts if part.casefold() in TRAINING), parts[0])
    measure = next(part for part in parts if part != learn)
    return f"such as {root / learn} to learn from or {root / measure} to measure on"


def note_look_alikes(labels: Iterable[str]) -> list[str]:
    """Notes on classes that are probably one, such as of two ways to write an accent."""
    return [
        f"the classes {_told(one)} and {_told(other)} differ only in case, spaces, hyphens or the "
        "way letters are written; if they are one, give both the same name"
        for one, other in look_alikes(labels)
    ]


def _told(label: str) -> str:
    """The label as code, which shows what the eye does not: an accent apart from its letter."""
    return repr(label) if unicodedata.is_normalized("NFKC", label) else ascii(label)


def require_classes(labels: Sequence[str], of_clips: Iterable[str], *, where: str) -> None:
    """Check that there are enough classes, and enough clips of each.

    Args:
        labels: Names of the classes.
        of_clips: The label of every clip.
        where: Name of the data in messages.

    Raises:
        DatasetError: there are fewer than two classes, or a class has fewer than two clips.
    """
    if len(labels) < 2:
        found = f"one class, {labels[0]!r}" if labels else "no subfolder with audio files"
        raise DatasetError(
            f"{where}: expected at least two classes, in a folder one subfolder each with audio "
            f"files, found {found}; a second one can hold anything else, such as background"
        )
    counts = Counter(of_clips)
    if few := [f"{label} ({counts[label]})" for label in labels if counts[label] < MIN_CLIPS]:
        more = f" and {len(few) - MAX_LISTED} more" if len(few) > MAX_LISTED else ""
        raise DatasetError(
            f"{where}: a class needs at least {MIN_CLIPS} clips that can be read, better 5 or "
            f"more; too few in {', '.join(few[:MAX_LISTED])}{more}: add some, or remove the class"
        )


def _search(root: Path) -> tuple[dict[str, list[Path]], int, Counter[str]]:
    """Recordings by subfolder, number of recordings in none, and counts of what is passed over."""
    found: dict[str, list[Path]] = {}
    n_loose, seen = 0, Counter[str]()
    for path in sorted(root.iterdir()):
        if path.is_dir():
            is_hidden = is_passed_over(path.name)
            paths = [
                Path(p)
                for p in search_folder(path, seen.update, is_hidden=is_hidden, on_error=_refuse)
            ]
            if not is_hidden:
                found[path.name] = paths
        elif (kind := kind_passed_over(str(path))) is None:
            n_loose += 1
        else:
            seen[kind] += 1
    return found, n_loose, seen


def _refuse(error: OSError) -> None:
    """A folder that cannot be opened is not empty: what is in it would be missing unnoticed."""
    with looking_at(Path(error.filename)):
        raise error


def _guessed(clips: Sequence[tuple[Path, str]]) -> str | None:
    """A note on files that were put together because of their names."""
    named = defaultdict[str, list[str]](list)
    for path, label in clips:
        if path.parent.name == label and (name := recording_in_name(path.stem, label)):
            named[name].append(f"{label}/{path.name}")
    several = {name: paths for name, paths in named.items() if len(paths) > 1}
    if not several:
        return None
    first, second, *_ = next(iter(several.values()))
    return (
        f"by their names, {sum(map(len, several.values()))} files were taken for parts of "
        f"{len(several)} recording{'s' * (len(several) > 1)}, such as {printable(first)} and "
        f"{printable(second)}; if they are recordings of their own, say so with "
        "group='.*', or --group '.*' of `soundsep fit`"
    )


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
        # The whole name is that of a file: phones number the recordings of every class from 1.
        return name if name != path.name else str(path.relative_to(folder.parent))
    parts = path.relative_to(folder).parts
    if len(parts) > 1:
        return parts[0]
    return recording_in_name(path.stem, folder.name) or f"{folder.name}/{path.name}"
