"""Tables of your own recordings: one line per clip, or per sound in a long recording."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from soundsep.audio.length import readable_seconds
from soundsep.config import check_choice, check_number, check_whole
from soundsep.datasets.clip import Clip, FoldedClips
from soundsep.datasets.folder import note_look_alikes, require_classes
from soundsep.datasets.label_files import Labelled, misnamed_columns, read_labels
from soundsep.datasets.origins import merge_copies
from soundsep.datasets.pieces import Piece
from soundsep.datasets.table import looking_at
from soundsep.datasets.table_files import Finder
from soundsep.errors import AudioError, DatasetError
from soundsep.names import local_path

__all__ = ["AudioTable", "is_table"]

SUFFIXES = (".csv", ".txt")
MIN_SECONDS = 1.0  # of a background


def is_table(path: str | Path) -> bool:
    """Whether a path is named as a table of `AudioTable`."""
    return Path(path).suffix.lower() in SUFFIXES


class AudioTable(FoldedClips):
    r"""The clips that your own tables list, with every line checked.

    A ``.csv`` file names its columns in the first line: ``path`` and ``label``, and optionally
    ``start_seconds`` and ``end_seconds``, ``fold`` and ``group``; others are ignored. So what
    ``soundsep events`` and a report write is such a table.

    - ``path``: a file, relative to the folder of the table or, where there is none, to the working
      directory; an absolute path is taken as it is, and backslashes separate folders as on Windows;
    - ``label``: the name of its class;
    - ``start_seconds``, ``end_seconds``: the part of the file in which it is heard;
    - ``fold``: a positive integer;
    - ``group``: the recording it was cut from or, for an augmented copy, made from. Clips of one
      group are never on both sides of a split. Without this column every file is its own
      recording, with all that is listed in it. Files with the same bytes always belong together.

    A ``.txt`` file is a label track of Audacity or a selection table of Raven. Its recording is the
    one that a column ``Begin Path`` or ``Begin File`` names, else the one of the table's own name,
    as is that of a ``.csv`` with times and without ``path``.

    Args:
        paths: The tables, in UTF-8.
        recordings: Folder, searched at any depth for recordings that are not where a table says;
            or a file, the recording of all tables that name none.
        partial: Allow one class, or one clip per class, for a test set or a part of a
            `Concatenation`.

    Attributes:
        labels: Names of the classes, sorted.
        fold_numbers: The folds that occur; none without that column, and ``fold`` is 0 then.
        clips: All clips, in the order of the tables. ``also`` holds the other labels that the
            tables have at the same time in the same file.
        notes: Likely mistakes in the tables that do not prevent their use.

    Raises:
        DatasetError: a table, a column, a value or a file is missing, a fold is not a positive
            integer, times are none, a line is repeated, or there are fewer than two classes of two
            clips.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("rex.wav", "rex_louder.wav", "tom.wav", "tim.wav"):
        ...     _ = (folder / name).write_text(name)
        >>> _ = (folder / "pets.csv").write_text(
        ...     "path,label,group\nrex.wav,dog,rex\nrex_louder.wav,dog,rex\n"
        ...     "tom.wav,cat,tom\ntim.wav,cat,tim\n"
        ... )
        >>> [(clip.label, clip.origin) for clip in AudioTable(folder / "pets.csv")]
        [('dog', 'rex'), ('dog', 'rex'), ('cat', 'tom'), ('cat', 'tim')]
    """

    def __init__(
        self,
        *paths: str | Path,
        recordings: str | Path | None = None,
        partial: bool = False,
    ) -> None:
        tables = [local_path(path) for path in paths]
        for table in tables:
            with looking_at(table):
                exists = table.is_file()
            if not exists:
                raise DatasetError(
                    f"no table {table}; expected a csv file with the columns path and label, and "
                    "optionally start_seconds, end_seconds, fold and group; or labels of Audacity "
                    "or Raven in .txt"
                )
        self.name = " + ".join(table.stem for table in tables)
        find = Finder(recordings)
        rows: list[Labelled] = []
        files: list[Path] = []
        for table in tables:
            lines = read_labels(table)
            rows += lines
            files += find.files(table, lines)
        where = ", ".join(map(str, tables))
        if not rows:
            raise DatasetError(f"{where} lists no clip" if tables else "which tables?")
        self.labels = tuple(sorted({row.label for row in rows}))
        if not partial:
            require_classes(self.labels, (row.label for row in rows), where=where)
        resolved = {file: str(file.resolve()) for file in dict.fromkeys(files)}
        ignored = [note for table in tables if (note := misnamed_columns(table))]
        _refuse_doubles(rows, [resolved[file] for file in files], hints=ignored)
        groups = [
            (row.group or "").strip() or resolved[f] for row, f in zip(rows, files, strict=True)
        ]
        pairs = [(file, row.label) for file, row in zip(files, rows, strict=True)]
        origins, doubles = merge_copies(pairs, groups, tables[0].parent)
        self.notes = (*ignored, *doubles, *note_look_alikes(self.labels))
        also = _heard_with(rows, [resolved[file] for file in files])
        self.clips = tuple(
            Clip(
                path=file,
                label=row.label,
                target=self.labels.index(row.label),
                fold=_fold(row),
                origin=origin,
                start_seconds=row.start_seconds,
                end_seconds=row.end_seconds,
                also=others,
            )
            for row, file, origin, others in zip(rows, files, origins, also, strict=True)
        )
        self.fold_numbers = tuple(sorted({clip.fold for clip in self.clips} - {0}))

    def unlabelled(
        self,
        *,
        seconds: float = 10.0,
        n_most: int = 200,
        errors: Literal["raise", "skip"] = "raise",
    ) -> tuple[Piece, ...]:
        """Parts of the recordings that no line labels, as backgrounds for `soundsep.fit`.

        A truncated recording has parts up to where it breaks off.

        Args:
            seconds: Length of a part; shorter ones are given where there is no more between two
                labels, but none below a second.
            n_most: Number of parts at most, spread evenly over the recordings.
            errors: ``"raise"`` stops at the first recording of which nothing can be read;
                ``"skip"`` leaves it out, as `soundsep.fit` leaves out its clips, and lists them.

        Raises:
            AudioError: nothing of a recording can be read, and ``errors`` is ``"raise"``.
            ConfigError: ``seconds`` is not above 0, ``n_most`` not at least 1, or ``errors``
                another word.
        """
        check_choice("errors", errors, ("raise", "skip"))
        seconds = check_number("seconds", seconds, above=0)
        n_most = check_whole("n_most", n_most, least=1)
        spans = defaultdict[Path, list[tuple[float, float]]](list)
        for clip in self.clips:
            spans[clip.path].append((clip.start_seconds, clip.end_seconds or math.inf))
        found = []
        for path, taken in spans.items():
            if (0.0, math.inf) in taken:
                continue  # labelled as a whole, however long
            try:
                length = readable_seconds(path)
            except AudioError:
                if errors == "raise":
                    raise
                continue
            position = 0.0
            for start, end in (*sorted(taken), (length, length)):
                n_parts = math.ceil(max(min(start, length) - position, 0.0) / seconds)
                for first in (position + k * seconds for k in range(n_parts)):
                    last = min(first + seconds, start, length)
                    if last - first >= MIN_SECONDS:
                        found.append(Piece(path, first, last))
                position = max(position, end)
        n = min(n_most, len(found))
        return tuple(found[i * len(found) // n] for i in range(n))


def _refuse_doubles(
    rows: Sequence[Labelled], files: Sequence[str], *, hints: Sequence[str]
) -> None:
    keys = [
        (file, row.start_seconds, row.end_seconds, row.label if row.end_seconds else "")
        for row, file in zip(rows, files, strict=True)
    ]
    if double := [key for key, n in Counter(keys).items() if n > 1]:
        row = rows[keys.index(double[0], keys.index(double[0]) + 1)]
        times = "" if row.end_seconds is None else f" from {row.start_seconds:g} s as {row.label}"
        message = f"{row.where}: {double[0][0]}{times} is listed more than once"
        raise DatasetError("; ".join((message, *hints)))


def _heard_with(rows: Sequence[Labelled], files: Sequence[str]) -> list[tuple[str, ...]]:
    """The other labels at the same time in the same file, for each line."""
    also = [set[str]() for _ in rows]
    of_file = defaultdict[str, list[int]](list)
    for i, file in enumerate(files):
        of_file[file].append(i)
    for indices in of_file.values():
        sounding: list[int] = []
        for i in sorted(indices, key=lambda i: rows[i].start_seconds):
            sounding = [k for k in sounding if (rows[k].end_seconds or 0) > rows[i].start_seconds]
            for k in sounding:
                also[i].add(rows[k].label)
                also[k].add(rows[i].label)
            sounding.append(i)
    return [tuple(sorted(names - {row.label})) for names, row in zip(also, rows, strict=True)]


def _fold(row: Labelled) -> int:
    text = (row.fold or "0").strip()
    if row.fold is not None and not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise DatasetError(f"{row.where}: fold must be a positive integer, got {text[:20]!r}")
    return int(text)
