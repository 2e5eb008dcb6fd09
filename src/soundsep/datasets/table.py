"""Data sets whose clips, classes and folds are listed in one csv table."""

from __future__ import annotations

import math
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from soundsep.datasets.clip import Clip, FoldedClips
from soundsep.errors import ConfigError, DatasetError
from soundsep.names import local_path
from soundsep.pipeline.tables import numeral, read_rows

__all__ = ["Columns", "TableDataset", "is_file", "looking_at", "read_times"]

SUFFIXES = (".wav", ".flac", ".ogg")


class Columns(NamedTuple):
    """Names of the columns of a table.

    Attributes:
        filename: Column of file names.
        fold: Column of folds.
        target: Column of indices of classes.
        label: Column of names of classes.
        origin: Column of recordings that clips were cut from.
    """

    filename: str
    fold: str
    target: str
    label: str
    origin: str


def is_file(path: Path) -> bool:
    """``path.is_file()``, but ``False`` for a name that is too long.

    Raises:
        DatasetError: it cannot be looked at, which is not to say that it is missing.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        with looking_at(path):
            raise
    except (OSError, ValueError):  # ValueError: no file has such a name
        return False


@contextmanager
def looking_at(path: Path) -> Iterator[None]:
    """Turn an error of the disk into one that names a file or folder of a data set.

    Raises:
        DatasetError: it cannot be looked at, as where the permission is missing.
    """
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path} cannot be opened: {error.strerror or error}") from error


def read_times(where: str, start: Any, end: Any) -> tuple[float, float]:
    """A start and an end in seconds from what a table holds.

    Args:
        where: Position in the table, for messages.
        start: Start, as text or a number.
        end: End, not before it.

    Raises:
        DatasetError: one of the two is no number, or they are not in order and finite.
    """
    try:
        first, last = float(numeral(start)), float(numeral(end))
    except ValueError as error:
        raise DatasetError(f"{where}: expected times in seconds, got {start!r}, {end!r}") from error
    if not 0 <= first <= last < math.inf:
        raise DatasetError(
            f"{where}: expected a start of at least 0 s and an end not before it, got {first:g} to "
            f"{last:g}"
        )
    return first, last


class TableDataset(FoldedClips):
    """The clips that a table lists, with every row checked.

    A clip that the table lists as ``X.wav`` is also found as ``X.flac`` or ``X.ogg``.

    Args:
        root: Folder that holds the table and ``audio``.
        folds: Keep only these folds; all of them by default.

    Raises:
        DatasetError: the table, one of its columns or a clip is missing, or a row is not valid.
        ConfigError: ``folds`` names one that does not exist.
    """

    table: ClassVar[str]  # below the root, as are all paths here
    audio: ClassVar[str]  # folder of a clip; {fold} stands for its fold
    columns: ClassVar[Columns]
    home: ClassVar[str]

    def __init__(self, root: str | Path, *, folds: Iterable[int] | None = None) -> None:
        self.root = local_path(root)
        kept = set(self.fold_numbers if folds is None else folds)
        if not kept or not kept <= set(self.fold_numbers):
            last = self.fold_numbers[-1]
            raise ConfigError(f"{self.name} has the folds 1 to {last}, got {sorted(kept)}")
        table = list(self._read_table())
        if double := [name for name, n in Counter(c.path.name for c in table).items() if n > 1]:
            raise DatasetError(f"the table of {self.root} lists {double[0]} more than once")
        clips = [clip for clip in table if clip.fold in kept]
        if not clips:
            raise DatasetError(f"the table of {self.root} lists no clip of folds {sorted(kept)}")
        missing = [clip.path for clip in clips if not is_file(clip.path)]
        if missing:
            raise DatasetError(
                f"{len(missing)} of {len(clips)} clips are missing in {self.root / 'audio'}, the "
                f"first is {missing[0].name}; download {self.name} again or repair the folder"
            )
        self.clips = tuple(clips)

    @classmethod
    def is_in(cls, root: Path) -> bool:
        """Whether a folder holds the table of this data set."""
        with looking_at(root):
            return (root / cls.table).is_file()

    def _read_table(self) -> Iterator[Clip]:
        table = self.root / self.table
        if not self.is_in(self.root):
            raise DatasetError(
                f"no {table}; expected the official layout of {self.name} ({self.table} and "
                f"{self.audio.format(fold='N')}/*.wav) in the folder, as on {self.home}"
            )
        for where, row in read_rows(table, self.columns):
            yield self._read_row(where, row)

    def _read_row(self, where: str, row: dict[str, str]) -> Clip:
        names = self.columns
        try:
            fold, target = (int(numeral(row[name])) for name in (names.fold, names.target))
        except ValueError as error:
            raise DatasetError(
                f"{where}: {names.fold} and {names.target} must be integers"
            ) from error
        if fold not in self.fold_numbers or not 0 <= target < len(self.labels):
            raise DatasetError(
                f"{where}: {names.fold} {fold} or {names.target} {target} is out of range"
            )
        label, filename = row[names.label], row[names.filename]
        if label != self.labels[target]:
            raise DatasetError(
                f"{where}: {names.target} {target} is {self.labels[target]}, not {label}"
            )
        if Path(filename).name != filename or "\\" in filename or filename == "..":
            raise DatasetError(f"{where}: {filename!r} is not a plain file name")
        listed = self.root / self.audio.format(fold=fold) / filename
        found = (path for s in SUFFIXES if is_file(path := listed.with_suffix(s)))
        return Clip(
            path=listed if is_file(listed) else next(found, listed),
            label=label,
            target=target,
            fold=fold,
            origin=row[names.origin].strip(),
        )
