"""Which files belong to one recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from soundsep.datasets.clip import Clip
from soundsep.errors import DatasetError
from soundsep.files import file_digest

__all__ = ["merge_copies", "merge_parts"]


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
    return _merge(names, together), list(_notes(files, together, root))


def merge_parts(parts: Sequence[Sequence[Clip]]) -> tuple[list[Clip], list[str]]:
    """The clips of several data sets, after copies of a file of another one got its recording.

    Only sizes that occur in several parts are looked into, so large data sets cost little. Of
    several names that of a clip with a fold is kept.

    Args:
        parts: Clips of each data set; of a file that is not there nothing is known.

    Returns:
        All clips, and a note for bytes that stand under several labels.

    Raises:
        DatasetError: a file cannot be read.
    """
    clips = [clip for part in parts for clip in part]
    part_of = [number for number, part in enumerate(parts) for _ in part]
    sizes = [clip.path.stat().st_size if clip.path.is_file() else 0 for clip in clips]
    n_parts = Counter(size for size, _ in set(zip(sizes, part_of, strict=True)))
    chosen = [i for i, size in enumerate(sizes) if size and n_parts[size] > 1]
    copies = _copies([clips[i].path for i in chosen])
    found = ([chosen[i] for i in indices] for indices in copies)
    together = [indices for indices in found if len({part_of[i] for i in indices}) > 1]
    official = {clip.origin for clip in clips if clip.fold}
    names = _merge([clip.origin for clip in clips], together, official)
    merged = [replace(clip, origin=name) for clip, name in zip(clips, names, strict=True)]
    return merged, list(_notes([(c.path, c.label) for c in clips], together, Path()))


def _notes(
    files: Sequence[tuple[Path, str]], together: Iterable[Sequence[int]], root: Path
) -> Iterator[str]:
    for indices in together:
        if len({files[i][1] for i in indices}) > 1:
            paths = (files[i][0] for i in indices)
            where = (str(p.relative_to(root) if p.is_relative_to(root) else p) for p in paths)
            yield f"the same bytes under several classes: {' and '.join(where)}"


def _copies(paths: Sequence[Path]) -> Iterator[list[int]]:
    """Indices of the files that hold the same bytes, where there are several."""
    try:
        by_size = defaultdict(list)
        for index, path in enumerate(paths):
            by_size[path.stat().st_size].append(index)
        for size, indices in by_size.items():
            by_digest = defaultdict(list)
            for index in indices if size and len(indices) > 1 else ():
                by_digest[file_digest(paths[index])].append(index)
            yield from (same for same in by_digest.values() if len(same) > 1)
    except OSError as error:
        raise DatasetError(f"cannot read {error.filename}: {error.strerror}") from error


def _merge(
    names: Sequence[str], together: Iterable[Sequence[int]], preferred: Collection[str] = ()
) -> list[str]:
    """The names, after those of the files whose indices stand together have become one."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for first, *others in together:
        for other in others:
            both = (root(names[first]), root(names[other]))
            kept, dropped = sorted(both, key=lambda name: (name not in preferred, name))
            parent[dropped] = kept
    return [root(name) for name in names]
