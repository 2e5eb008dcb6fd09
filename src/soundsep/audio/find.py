"""Where recordings lie: files, folders of them, and patterns."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from soundsep.audio.suffixes import AUDIO_SUFFIXES
from soundsep.errors import ConfigError
from soundsep.names import local_path, printable

__all__ = [
    "FoundRecordings",
    "find_recordings",
    "is_passed_over",
    "kind_passed_over",
    "passed_over",
    "search_folder",
]

# What computers put beside the files of people; names that begin with a dot are hidden anyway.
SYSTEM_FOLDERS = ("__macosx", "$recycle.bin", "system volume information", "@eadir", "lost+found")
MAX_KINDS = 12  # of what is passed over that are named, the commonest first
MAX_SUFFIX = 12  # characters; what is longer is no suffix, but a name with a dot in it


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRecordings:
    """Result of a search.

    Attributes:
        places: For every path, once and in order: where the recording lies below the folder
            that was searched; of a file that was given itself, its name.
        passed_over: Number of files passed over, by kind: a suffix, ``hidden .wav``, ...
        empty: Folders that were searched and hold no recording.
    """

    places: dict[str, str]
    passed_over: Counter[str]
    empty: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """The recordings, as they are opened and named."""
        return list(self.places)


def find_recordings(*names: str | os.PathLike[str]) -> FoundRecordings:
    """The recordings that are meant by files, folders and patterns.

    A file is taken as it is, whatever it is called, even if it is not there. A folder is searched
    at any depth, links to folders apart, for every suffix in `AUDIO_SUFFIXES`, in any case of
    letters; the same holds for what a pattern matches, unless the pattern names a suffix itself. A
    pattern that matches nothing is taken for a file. Hidden files and folders and those of
    `SYSTEM_FOLDERS` are passed over.

    Args:
        names: Each a file, a folder, or a pattern as of the module glob, ``**`` included.
    """
    places: dict[str, str] = {}
    seen: Counter[str] = Counter()
    empty = []
    for name in (os.fspath(name) for name in names):
        path = _meant(name)
        if os.path.isdir(path):
            found = search_folder(path, seen.update)
            places |= {p: os.path.relpath(p, path) for p in found if p not in places}
            if not found:
                empty.append(name)
        elif os.path.lexists(path) or not glob.has_magic(path):
            places.setdefault(name, os.path.basename(name))
        else:
            matched = dict(_match(path, seen)) or {name: os.path.basename(name)}
            places |= {p: place for p, place in matched.items() if p not in places}
    return FoundRecordings(places=places, passed_over=seen, empty=tuple(empty))


def search_folder(
    folder: str | os.PathLike[str],
    pass_over: Callable[[Iterable[str]], object],
    *,
    is_hidden: bool = False,
) -> list[str]:
    """Paths of the recordings in a folder, at any depth, sorted.

    Args:
        folder: The folder; every path begins with it.
        pass_over: Called with the kind of each other file.
        is_hidden: All of it is to be passed over.
    """
    found: list[str] = []
    hidden = {os.fspath(folder)} if is_hidden else set()

    def unreadable(error: OSError) -> None:
        if error.filename not in hidden:
            pass_over(["folder that cannot be opened"])

    for parent, folders, names in os.walk(os.fspath(folder), onerror=unreadable):
        below = parent in hidden
        for name in folders:
            path = os.path.join(parent, name)
            if below or is_passed_over(name):
                hidden.add(path)
            elif os.path.islink(path):
                pass_over(["link to a folder"])
        for name in names:
            path = os.path.join(parent, name)
            if (kind := kind_passed_over(path, is_hidden=below)) is None:
                found.append(_plain(path))
            else:
                pass_over([kind])
    return sorted(found, key=lambda path: path.split(os.sep))


def is_passed_over(name: str) -> bool:
    """Whether a name is that of a hidden file or folder, or of one that no person has made."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS


def passed_over(kinds: Counter[str]) -> str | None:
    """All that was not taken, in one line; ``None`` where that is nothing.

    Examples:
        >>> passed_over(Counter({".txt": 2, "hidden .wav": 1}))
        'passed over: 2 .txt, 1 hidden .wav'
    """
    if not kinds.total():
        return None
    ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{n} {printable(kind)}" for kind, n in ranked[:MAX_KINDS]]
    if rest := sum(n for _, n in ranked[MAX_KINDS:]):
        parts.append(f"{rest} of other kinds")
    return f"passed over: {', '.join(parts)}"


def kind_passed_over(path: str, *, is_hidden: bool = False, any_suffix: bool = False) -> str | None:
    """What a file is that is passed over; ``None`` for a recording."""
    name = os.path.basename(path)
    suffix = os.path.splitext(name)[1].lower()
    if len(suffix) > MAX_SUFFIX or suffix == ".":
        suffix = ""
    if is_hidden or is_passed_over(name):
        return f"hidden {suffix}".rstrip()
    if suffix not in AUDIO_SUFFIXES and not any_suffix:
        return suffix or "without a suffix"
    if not os.path.isfile(path):  # links to nothing, pipes
        return f"{suffix} that is no file".lstrip()
    return None


def _match(pattern: str, seen: Counter[str]) -> Iterator[tuple[str, str]]:
    """What a pattern matches, and where it lies below the folders that the pattern names."""
    parts = Path(pattern).parts
    n_fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    suffix = os.path.splitext(parts[-1])[1]
    any_suffix = len(suffix) > 1 and not glob.has_magic(suffix)
    for path in sorted(glob.glob(pattern, recursive=True), key=lambda p: p.split(os.sep)):
        below = Path(path).parts[n_fixed:]
        is_hidden = any(is_passed_over(part) and part not in parts for part in below)
        if os.path.isdir(path):
            if "**" in parts or is_hidden:  # its files are matched themselves, or not wanted
                continue
            for found in search_folder(path, seen.update):
                yield found, os.path.join(*Path(found).parts[n_fixed:])
        elif (kind := kind_passed_over(path, is_hidden=is_hidden, any_suffix=any_suffix)) is None:
            yield _plain(path), os.path.join(*below)
        else:
            seen[kind] += 1


def _meant(name: str) -> str:
    try:
        return str(local_path(name)) if name.startswith("~") else name
    except ConfigError:  # no such user: reported when it is opened
        return name


def _plain(path: str) -> str:
    """Without what says nothing, such as ``./``, but never a name that begins with ``~``."""
    plain = str(Path(path))
    return os.path.join(os.curdir, plain) if plain.startswith("~") else plain
