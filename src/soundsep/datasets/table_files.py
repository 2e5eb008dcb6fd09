"""Where the recordings lie that a table names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from soundsep.audio import AUDIO_SUFFIXES
from soundsep.audio.find import search_folder
from soundsep.datasets.label_files import Labelled
from soundsep.datasets.table import is_file, looking_at
from soundsep.errors import DatasetError
from soundsep.names import local_path, same_looking

__all__ = ["Finder"]

WINDOWS_HINT = "; paths with backslashes are read, not drives; name files below the table"
RAVEN_ENDING = re.compile(r"(?i)(\.table\.\d+)?\.selections$")


class Finder:
    """Finds the files that tables name.

    Args:
        recordings: Folder, searched at any depth for files that are not where a table says; or the
            recording of all tables that name none.

    Raises:
        DatasetError: there is no such folder or file.
    """

    def __init__(self, recordings: str | Path | None) -> None:
        self._root = None if recordings is None else local_path(recordings)
        self._by_name = defaultdict[str, list[Path]](list)
        self._closed: list[OSError] = []  # folders that could not be searched
        if self._root is not None:
            with looking_at(self._root):
                exists = self._root.exists()
            if not exists:
                raise DatasetError(f"no folder or file {self._root}, where recordings should be")
            found = [str(self._root)]
            if self._root.is_dir():
                found = search_folder(self._root, tuple, on_error=self._closed.append)
            for path in map(Path, found):
                for key in {path.name.casefold(), path.stem.casefold()}:
                    self._by_name[key].append(path)

    def files(self, table: Path, rows: Sequence[Labelled]) -> list[Path]:
        """The file of each line.

        Raises:
            DatasetError: there is none, or there are several.
        """
        known: dict[str, Path] = {}
        for row in rows:
            if row.recording not in known:
                found = self._named(table, row.recording) if row.recording else self._of(table)
                known[row.recording] = found
        files = [known[row.recording] for row in rows]
        if missing := [i for i, file in enumerate(files) if not is_file(file)]:
            row = rows[missing[0]]
            hint = WINDOWS_HINT if "\\" in row.recording else ""
            if alike := same_looking(files[missing[0]]):
                hint += f"; its folder has {alike}"
            raise DatasetError(
                f"{row.where}: no file {files[missing[0]]}; paths are relative to the folder of "
                f"the table ({len(missing)} of {len(files)} files are missing), or to the working "
                f"directory, {Path.cwd()}; recordings=, or --recordings of `soundsep fit`, names "
                f"another folder to search{hint}{self._not_searched}"
            )
        return files

    def _named(self, table: Path, text: str) -> Path:
        """The file of a name; one written on Windows separates folders by backslashes."""
        names = [text, text.replace("\\", "/")] if "\\" in text else [text]
        for folder in (table.parent, Path()):
            for name in names:
                if is_file(path := folder / name):
                    return path
        wanted = Path(names[-1])
        found = _nearest(self._by_name.get(wanted.name.casefold(), []), wanted.parent)
        if len(found) > 1:
            raise DatasetError(f"{table}: {text} may be {found[0]} or {found[1]}")
        return found[0] if found else table.parent / text

    def _of(self, table: Path) -> Path:
        """The recording that a table without names of recordings belongs to, by its own name."""
        stem = RAVEN_ENDING.sub("", table.stem).casefold()
        if self._root is not None and is_file(self._root):
            return self._root  # it was said
        with looking_at(table.parent):
            beside = [
                path
                for path in sorted(table.parent.iterdir())
                if path.suffix.lower() in AUDIO_SUFFIXES
                and stem in (path.name.casefold(), path.stem.casefold())
            ]
        found = beside
        if len(beside) != 1 and stem in self._by_name:
            found = _nearest(self._by_name[stem], table.parent.absolute())
        if len(found) != 1:
            several = f"found {found[0]} and {found[1]}" if found else "found none"
            raise DatasetError(
                f"{table} does not tell its recording: expected one that is called as the table, "
                f"such as {RAVEN_ENDING.sub('', table.stem)}.wav, beside it or in the folder given "
                f"as recordings=, or as --recordings of `soundsep fit`; {several}"
                f"{self._not_searched}"
            )
        return found[0]

    @property
    def _not_searched(self) -> str:
        """What may be why a recording is not found, for messages."""
        if not self._closed:
            return ""
        error = self._closed[0]
        return f"; the folder {error.filename} cannot be opened: {error.strerror}"


def _nearest(found: Sequence[Path], folder: Path) -> list[Path]:
    """The files whose folders share the most with another one at their ends.

    Recorders that begin at the same time give the same names, and on another disk, or beside the
    tables, the folders below the first are still the same.
    """
    shared = [_n_shared(path.parent, folder) for path in found]
    most = max(shared, default=0)
    return [path for path, n in zip(found, shared, strict=True) if n == most]


def _n_shared(one: Path, other: Path) -> int:
    """Number of parts that two paths share at their ends."""
    pairs = zip(reversed(one.parts), reversed(other.parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].casefold() == pair[1].casefold(), pairs))
