"""Which files belong to one recording."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from soundsep.errors import DatasetError

__all__ = ["merge_copies"]


def merge_copies(
    files: Sequence[tuple[Path, str]], names: Sequence[str], root: Path
) -> tuple[list[str], list[str]]:
    """The recording of each file, after files of the same bytes have become one recording.

    Args:
        files: Path and label of each.
        names: What the recording of each is called so far.
        root: What the notes call paths relative to.

    Returns:
        The recording of each, and a note for bytes that stand under several labels.

    Raises:
        DatasetError: a file cannot be read.
    """
    together = list(_copies([path for path, _ in files]))
    notes = []
    for indices in together:
        if len({files[i][1] for i in indices}) > 1:
            paths = (files[i][0] for i in indices)
            where = (str(p.relative_to(root) if p.is_relative_to(root) else p) for p in paths)
            notes.append(f"the same bytes under several classes: {' and '.join(where)}")
    return _merge(names, together), notes


def _copies(paths: Sequence[Path]) -> Iterator[list[int]]:
    """Indices of the files that hold the same bytes, where there are several."""
    try:
        by_size = defaultdict(list)
        for index, path in enumerate(paths):
            by_size[path.stat().st_size].append(index)
        for size, indices in by_size.items():
            by_digest = defaultdict(list)
            for index in indices if size and len(indices) > 1 else ():
                digest = hashlib.sha256(paths[index].read_bytes()).digest()
                by_digest[digest].append(index)
            yield from (same for same in by_digest.values() if len(same) > 1)
    except OSError as error:
        raise DatasetError(f"cannot read {error.filename}: {error.strerror}") from error


def _merge(names: Sequence[str], together: Iterable[Sequence[int]]) -> list[str]:
    """The names, after those of the files whose indices stand together have become one."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for first, *others in together:
        for other in others:
            kept, dropped = sorted((root(names[first]), root(names[other])))
            parent[dropped] = kept
    return [root(name) for name in names]
