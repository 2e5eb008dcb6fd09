"""Which files belong to one recording."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from soundsep.datasets.clip import Clip
from soundsep.digests import file_digest

__all__ = ["merge_copies", "merge_parts"]


def merge_copies(
    files: Sequence[tuple[Path, str]], names: Sequence[str], root: Path
) -> tuple[list[str], list[str]]:
    """The recording of each file, where files with the same bytes are one recording.

    Args:
        files: Path and label of each.
        names: Recording of each so far.
        root: Folder that paths in notes are relative to.

    Returns:
        The recording of each, and a note on bytes that have several labels.
    """
    together = list(_copies([path for path, _ in files]))
    of_path = _by_path([path for path, _ in files])
    merged = _merge(names, [*together, *of_path.values()])
    return merged, list(_notes(files, together, root))


def merge_parts(parts: Sequence[Sequence[Clip]]) -> tuple[list[Clip], list[str]]:
    """The clips of several data sets, where copies of one file share one recording.

    Only files whose size occurs in several parts are read, so large data sets cost little. Among
    several names, that of a clip with a fold is kept.

    Args:
        parts: Clips of each data set; missing files are ignored.

    Returns:
        All clips, and a note on bytes that have several labels.
    """
    clips = [clip for part in parts for clip in part]
    part_of = [number for number, part in enumerate(parts) for _ in part]
    sizes = [_size(clip.path) for clip in clips]
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
        labels = defaultdict[Path, set[str]](set)  # a long file has several, in its pieces
        for i in indices:
            labels[files[i][0]].add(files[i][1])
        if any(other != labels[files[indices[0]][0]] for other in labels.values()):
            where = (str(p.relative_to(root) if p.is_relative_to(root) else p) for p in labels)
            yield f"the same bytes under several classes: {' and '.join(where)}"


def _by_path(paths: Sequence[Path]) -> dict[Path, list[int]]:
    found = defaultdict[Path, list[int]](list)
    for index, path in enumerate(paths):
        found[path].append(index)
    return found


def _size(path: Path) -> int:
    """Size of a file, 0 if it cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _copies(paths: Sequence[Path]) -> Iterator[list[int]]:
    """Groups of indices of different files that hold the same bytes.

    What cannot be read has no copies: whether it stops a run or is left out is for those who decode
    it to say.
    """
    of_path = _by_path(paths)
    by_size = defaultdict(list)
    for path in of_path:
        by_size[_size(path)].append(path)
    for size, alike in by_size.items():
        by_digest = defaultdict(list)
        for path in alike if size and len(alike) > 1 else ():
            with suppress(OSError):
                by_digest[file_digest(path)].append(path)
        for same in by_digest.values():
            if len(same) > 1:
                yield [index for path in same for index in of_path[path]]


def _merge(
    names: Sequence[str], together: Iterable[Sequence[int]], preferred: Collection[str] = ()
) -> list[str]:
    """The names, with one name for the files of each group of indices."""
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
