"""A table of your own recordings, one line per clip."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from soundsep.datasets.clip import Clip, FoldedClips
from soundsep.datasets.folder import require_classes
from soundsep.datasets.origins import merge_copies
from soundsep.datasets.table import is_file, read_rows
from soundsep.errors import DatasetError
from soundsep.names import label_fault, local_path

__all__ = ["AudioTable"]

WINDOWS_HINT = "; paths with backslashes are read, not drives; name files below the table"


class AudioTable(FoldedClips):
    r"""The clips that your own csv file lists, with every line checked.

    The first line names the columns: ``path`` and ``label``, and optionally ``fold`` and ``group``;
    others are ignored.

    - ``path``: a file, relative to the folder of the table, never to the working directory; an
      absolute path is taken as it is, and backslashes separate folders as on Windows;
    - ``label``: the name of its class;
    - ``fold``: a positive integer;
    - ``group``: the recording it was cut from or, for an augmented copy, made from. Clips of one
      group are never on both sides of a split. Without this column every file is its own
      recording. Files with the same bytes always belong together.

    Args:
        path: The table, comma-separated, in UTF-8.
        partial: Allow one class, or one clip per class, for a part of a `Concatenation`.

    Attributes:
        labels: Names of the classes, sorted.
        fold_numbers: The folds that occur; none without that column, and ``fold`` is 0 then.
        clips: All clips, in the order of the table.
        notes: Likely mistakes in the table that do not prevent its use.

    Raises:
        DatasetError: the table, a column, a value or a file is missing, a fold is not a positive
            integer, a file is listed twice, or there are fewer than two classes of two clips.

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

    def __init__(self, path: str | Path, *, partial: bool = False) -> None:
        table = local_path(path)
        if not table.is_file():
            raise DatasetError(
                f"no table {table}; expected a csv file with the columns path and label, and "
                "optionally fold and group"
            )
        self.name = table.stem
        folder = table.parent
        rows = list(read_rows(table, ("path", "label"), ("fold", "group")))
        files = [(_listed(folder, row["path"]), row["label"].strip()) for _, row in rows]
        for (where, _), (_, label) in zip(rows, files, strict=True):
            if fault := label_fault(label):
                raise DatasetError(f"{where}: a class needs another name: {fault}")
        if missing := [i for i, (file, _) in enumerate(files) if not is_file(file)]:
            raise DatasetError(
                f"{rows[missing[0]][0]}: no file {files[missing[0]][0]}; paths are relative to the "
                f"folder of the table ({len(missing)} of {len(files)} files are missing)"
                f"{WINDOWS_HINT if chr(92) in rows[missing[0]][1]['path'] else ''}"
            )
        resolved = [str(file.resolve()) for file, _ in files]
        if double := [name for name, n in Counter(resolved).items() if n > 1]:
            where = rows[resolved.index(double[0], resolved.index(double[0]) + 1)][0]
            raise DatasetError(f"{where}: {double[0]} is listed more than once")
        if not files:
            raise DatasetError(f"{table} lists no clip")
        self.labels = tuple(sorted({label for _, label in files}))
        if not partial:
            require_classes(self.labels, (label for _, label in files), where=str(table))
        groups = [
            row.get("group", "").strip() or file
            for (_, row), file in zip(rows, resolved, strict=True)
        ]
        origins, doubles = merge_copies(files, groups, folder)
        self.notes = tuple(doubles)
        self.clips = tuple(
            Clip(
                path=file,
                label=label,
                target=self.labels.index(label),
                fold=_fold(where, row),
                origin=origin,
            )
            for (where, row), (file, label), origin in zip(rows, files, origins, strict=True)
        )
        self.fold_numbers = tuple(sorted({clip.fold for clip in self.clips} - {0}))


def _listed(folder: Path, text: str) -> Path:
    """The file of a row; one written on Windows separates folders by backslashes."""
    path = folder / text
    if "\\" in text and not is_file(path) and is_file(other := folder / text.replace("\\", "/")):
        return other
    return path


def _fold(where: str, row: dict[str, str]) -> int:
    text = row.get("fold", "0").strip()
    if "fold" in row and not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise DatasetError(f"{where}: fold must be a positive integer, got {text[:20]!r}")
    return int(text)
