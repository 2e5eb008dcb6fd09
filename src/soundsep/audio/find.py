"""Find recordings: files, folders of them, and patterns."""

from __future__ import annotations

import errno
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from soundsep.audio.suffixes import AUDIO_SUFFIXES
from soundsep.errors import ConfigError
from soundsep.names import local_path, path_text, printable

__all__ = [
    "FoundRecordings",
    "find_recordings",
    "is_passed_over",
    "kind_passed_over",
    "passed_over",
    "search_folder",
]

# Folders that systems put beside people's files; names that begin with a dot are hidden anyway.
SYSTEM_FOLDERS = ("__macosx", "$recycle.bin", "system volume information", "@eadir", "lost+found")
MAX_KINDS = 12  # kinds of files passed over that are listed, the most frequent first
MAX_SUFFIX = 12  # characters; anything longer is a name with a dot in it


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRecordings:
    """Result of a search.

    Attributes:
        places: By path, each once and in order: the recording's path relative to the folder that
            was searched, or the name of a file that was given itself.
        passed_over: Number of files passed over, by kind: a suffix, ``hidden .wav``, ...
        empty: Folders searched that hold no recording.
    """

    places: dict[str, str]
    passed_over: Counter[str]
    empty: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """Paths of the recordings, in order."""
        return list(self.places)

    @property
    def none_found(self) -> str:
        """A message for the case of no recordings, with the folders and what is there instead."""
        others = passed_over(self.passed_over)
        return f"no recordings in {', '.join(self.empty[:3])}{f' ({others})' if others else ''}"


def find_recordings(*names: str | os.PathLike[str]) -> FoundRecordings:
    """Find the recordings that files, folders and patterns stand for.

    A file is taken as it is, whatever its name, even if it does not exist. A folder is searched at
    any depth, except for links to folders, for every suffix in `AUDIO_SUFFIXES`, upper or lower
    case; so are the matches of a pattern, unless the pattern states a suffix. A pattern without a
    match is taken for a file. Hidden files and folders and `SYSTEM_FOLDERS` are passed over.

    Args:
        names: Files, folders, or patterns of the module `glob`, including ``**``.

    Raises:
        ConfigError: one is no path.
    """
    places: dict[str, str] = {}
    seen: Counter[str] = Counter()
    empty = []
    for name in map(path_text, names):
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
    on_error: Callable[[OSError], object] | None = None,
) -> list[str]:
    """Paths of the recordings in a folder, at any depth, sorted.

    Args:
        folder: Folder to search; every path begins with it.
        pass_over: Called with the kind of each file passed over.
        is_hidden: Pass over everything.
        on_error: Called with the error of each folder that cannot be opened, unless it is hidden;
            by default it is passed over.
    """
    found: list[str] = []
    hidden = {os.fspath(folder)} if is_hidden else set()

    def unreadable(error: OSError) -> None:
        if error.filename in hidden:
            return
        if on_error is not None:
            on_error(error)
        else:
            pass_over(["folder that cannot be opened"])

    for parent, folders, names in os.walk(os.fspath(folder), onerror=unreadable):
        below = parent in hidden
        if not os.access(parent, os.X_OK):  # its names can be listed, but no file can be opened
            unreadable(PermissionError(errno.EACCES, os.strerror(errno.EACCES), parent))
            folders.clear()
            continue
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
    """Whether the name of a file or folder is hidden, or one of `SYSTEM_FOLDERS`."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS


def passed_over(kinds: Counter[str]) -> str | None:
    """One line about the files passed over; ``None`` if there are none.

    Args:
        kinds: Number of files by kind.

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
    """Kind of a file that is passed over; ``None`` for a recording.

    Args:
        path: Path of the file.
        is_hidden: It is in a hidden folder.
        any_suffix: Accept every suffix.
    """
    name = os.path.basename(path)
    suffix = os.path.splitext(name)[1].lower()
    if len(suffix) > MAX_SUFFIX or suffix == ".":
        suffix = ""
    if is_hidden or is_passed_over(name):
        return f"hidden {suffix}".rstrip()
    if suffix not in AUDIO_SUFFIXES and not any_suffix:
        return suffix or "without a suffix"
    if not os.path.isfile(path):
        return f"{suffix} (broken link or pipe)".lstrip()
    return None


def _match(pattern: str, seen: Counter[str]) -> Iterator[tuple[str, str]]:
    """Matches of a pattern, and their paths relative to the folders that the pattern names."""
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
    """Without redundant parts such as ``./``, unless the name would begin with ``~``."""
    plain = str(Path(path))
    return os.path.join(os.curdir, plain) if plain.startswith("~") else plain
