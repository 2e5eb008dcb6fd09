"""ESC-50: 2000 clips of 5 s, 50 classes, five official folds.

References:
    Piczak (2015), "ESC: Dataset for environmental sound classification", ACM Multimedia.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import ESC50_LABELS

__all__ = ["ESC50", "Clip"]

COLUMNS = ("filename", "fold", "target", "category", "src_file")
SUFFIXES = (".wav", ".flac", ".ogg")
FOLDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One labelled recording of a data set.

    Attributes:
        path: The audio file.
        label: Name of its class.
        target: Index of its class.
        fold: Official fold.
        source: Id of the recording it was cut from; clips of one source are never independent.
    """

    path: Path
    label: str
    target: int
    fold: int
    source: str


class ESC50:
    """The official layout: ``meta/esc50.csv`` and ``audio/*.wav``.

    A clip that the table lists as ``X.wav`` is also found as ``X.flac`` or ``X.ogg``.

    Args:
        root: Folder that holds ``meta`` and ``audio``.
        folds: Keep only these of the folds 1 to 5; all of them by default.

    Raises:
        DatasetError: the table, one of its columns or a clip is missing, or a row is not valid.
        ConfigError: ``folds`` names one that does not exist.
    """

    labels = ESC50_LABELS

    def __init__(self, root: str | Path, *, folds: Iterable[int] = FOLDS) -> None:
        self.root = Path(root)
        kept = set(folds)
        if not kept or not kept <= set(FOLDS):
            raise ConfigError(f"ESC-50 has the folds 1 to 5, got {sorted(kept)}")
        table = list(_read_table(self.root))
        if double := [path for path, n in Counter(c.path for c in table).items() if n > 1]:
            raise DatasetError(f"the table of {self.root} lists {double[0].name} more than once")
        clips = [clip for clip in table if clip.fold in kept]
        if not clips:
            raise DatasetError(f"the table of {self.root} lists no clip of folds {sorted(kept)}")
        missing = [clip.path.name for clip in clips if not clip.path.is_file()]
        if missing:
            raise DatasetError(
                f"{len(missing)} of {len(clips)} clips are missing in {self.root / 'audio'}, the "
                f"first is {missing[0]}; download ESC-50 again or repair the folder"
            )
        self.clips = tuple(clips)

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def split(self, test_fold: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """Training clips, and the clips of ``test_fold``.

        Raises:
            ConfigError: one of the two would be empty.
            DatasetError: a source recording would be on both sides with the same class.
        """
        train = tuple(clip for clip in self.clips if clip.fold != test_fold)
        test = tuple(clip for clip in self.clips if clip.fold == test_fold)
        if not train or not test:
            raise ConfigError(f"holding fold {test_fold} out leaves one side of the split empty")
        # Four recordings (131943, 134049, 209698, 234879) lie in two official folds, each time as
        # another class (a hen here, a rooster there), so the class has to match as well.
        sides = [{(clip.source, clip.label) for clip in side} for side in (train, test)]
        if shared := sides[0] & sides[1]:
            source, label = min(shared)
            raise DatasetError(
                f"{len(shared)} recordings are in fold {test_fold} and in others under the same "
                f"class, for example {source} ({label}); the table is not the official one"
            )
        return train, test


def _read_table(root: Path) -> Iterator[Clip]:
    table = root / "meta" / "esc50.csv"
    if not table.is_file():
        raise DatasetError(
            f"no {table}; expected the official layout of ESC-50 (meta/esc50.csv and audio/*.wav) "
            "in the folder, as https://github.com/karolpiczak/ESC-50 gives it"
        )
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if absent := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise DatasetError(f"{table}: no column {', '.join(absent)}")
            for row in reader:
                yield _read_row(root, table, reader.line_num, row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{table} is not a table of comma-separated text: {error}") from error


def _read_row(root: Path, table: Path, line: int, row: dict[str, str]) -> Clip:
    where = f"{table}, line {line}"
    if any(not row[name] for name in COLUMNS):  # DictReader fills a short row with None
        raise DatasetError(f"{where}: a value is missing")
    try:
        fold, target = int(row["fold"]), int(row["target"])
    except ValueError as error:
        raise DatasetError(f"{where}: fold and target must be whole numbers") from error
    if fold not in FOLDS or not 0 <= target < len(ESC50_LABELS):
        raise DatasetError(f"{where}: fold {fold} or target {target} is out of range")
    if row["category"] != ESC50_LABELS[target]:
        raise DatasetError(
            f"{where}: target {target} is {ESC50_LABELS[target]}, not {row['category']}"
        )
    name = Path(row["filename"])
    if name.name != row["filename"] or "\\" in row["filename"] or name.name == "..":
        raise DatasetError(f"{where}: {row['filename']!r} is not a plain file name")
    listed = root / "audio" / name
    found = (path for s in SUFFIXES if (path := listed.with_suffix(s)).is_file())
    return Clip(
        path=listed if listed.is_file() else next(found, listed),
        label=row["category"],
        target=target,
        fold=fold,
        source=row["src_file"],
    )
