"""Several data sets as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from soundsep.config import check_seed, check_whole
from soundsep.datasets.clip import Clip, FoldedClips
from soundsep.datasets.crosswalk import crosswalk
from soundsep.datasets.folder import note_look_alikes
from soundsep.datasets.leakage import JoinedClips
from soundsep.datasets.origins import merge_parts
from soundsep.errors import ConfigError, DatasetError

__all__ = ["Concatenation"]

N_FOLDS = 5  # if no part has folds


class Concatenation(JoinedClips):
    """Several data sets under one label set, in folds that keep every recording whole.

    Different numbers of folds are joined: with ESC-50's five and UrbanSound8K's ten, fold k holds
    the folds 2k - 1 and 2k of the latter. The recordings of a part without folds, such as an
    `AudioFolder`, are dealt out evenly by class; one that another part has in a fold joins it.

    Recordings are identified by their ``origin`` across parts; if parts give one name to two
    different recordings, some training clips are lost, nothing more. A file with the same bytes as
    one of another part gets its origin.

    Args:
        parts: Data sets, or clips.
        crosswalks: One table per part from its labels to the new ones, or ``None`` to keep them.
            Clips whose label a table leaves out are dropped.
        labels: The label set, in the order of the targets; by default the labels of the parts, in
            the order in which they first occur.
        n_folds: At least 2; by default as many as the part with the fewest has, else 5, or fewer
            if there are fewer recordings.
        seed: Seed for assigning folds, which also depends on the set of recordings.

    Attributes:
        notes: Notes of the parts, and likely mistakes between them.

    Raises:
        DatasetError: a file is in two parts, or there are no clips.
        ConfigError: a label is not in the set, ``crosswalks`` does not have one entry per part, the
            parts have fewer folds, or the seed is invalid.

    Examples:
        >>> from pathlib import Path
        >>> dog = Clip(path=Path("a/1.wav"), label="dog", target=0, fold=1, origin="7")
        >>> hound = Clip(path=Path("b/1.wav"), label="hound", target=0, fold=2, origin="8")
        >>> both = Concatenation([[dog], [hound]], crosswalks=[None, {"hound": "dog"}])
        >>> both.labels, [(clip.label, clip.fold) for clip in both]
        (('dog',), [('dog', 1), ('dog', 2)])
    """

    def __init__(
        self,
        parts: Sequence[Iterable[Clip]],
        *,
        crosswalks: Sequence[Mapping[str, str] | None] | None = None,
        labels: Sequence[str] | None = None,
        n_folds: int | None = None,
        seed: int = 0,
    ) -> None:
        parts = [part if isinstance(part, FoldedClips) else tuple(part) for part in parts]
        check_seed(seed)
        tables = [None] * len(parts) if crosswalks is None else list(crosswalks)
        if len(tables) != len(parts):
            raise ConfigError(f"{len(parts)} parts need as many crosswalks, got {len(tables)}")
        full = [
            {label: label for label in _labels(part)} if table is None else table
            for part, table in zip(parts, tables, strict=True)
        ]
        new = dict.fromkeys(label for table in full for label in table.values())
        self.labels = tuple(new if labels is None else labels)
        for table in full:
            if unknown := sorted(set(table.values()) - set(self.labels)):
                raise ConfigError(
                    f"{', '.join(unknown)}: not in the label set; give the part a crosswalk that "
                    "maps them to the set, or leaves them out"
                )
        self.name = " + ".join(getattr(part, "name", "clips") for part in parts)
        has = _n_folds(parts)
        given = [n for n in has if n]
        if n_folds is not None:
            check_whole("n_folds", n_folds, least=2)
        n_origins = len({clip.origin for part in parts for clip in part})
        n_folds = n_folds or min(given, default=max(2, min(N_FOLDS, n_origins)))
        if n_folds > min(given, default=n_folds):
            raise ConfigError(
                f"{self.name}: cannot make {n_folds} folds; the parts have "
                f"{', '.join(map(str, has))} (0: folds will be assigned)"
            )
        self.fold_numbers = tuple(range(1, n_folds + 1))
        same = {label: label for label in self.labels}
        mapped = [
            [
                replace(c, fold=c.fold and 1 + (c.fold - 1) * n_folds // n)
                for c in crosswalk(part, same if table is None else table, self.labels)
            ]
            for part, table, n in zip(parts, tables, has, strict=True)
        ]
        heard = [
            (clip.path.resolve(), clip.end_seconds and (clip.audio, clip.label))
            for part in mapped
            for clip in part
        ]
        if not heard:
            raise DatasetError(f"{self.name}: no clip is left")
        if double := [key for key, n in Counter(heard).items() if n > 1]:
            path, piece = double[0]
            where = f"{piece[0]} as {piece[1]}" if piece else path
            raise DatasetError(f"{self.name}: {where} is in several parts, or twice in one")
        clips, doubles = merge_parts(mapped)
        notes = [note for part in parts for note in getattr(part, "notes", ())]
        self.notes = tuple(dict.fromkeys((*notes, *doubles, *note_look_alikes(self.labels))))
        self.clips = _deal(clips, n_folds, seed)


def _labels(part: Iterable[Clip]) -> Iterable[str]:
    if isinstance(part, FoldedClips):
        return part.labels
    return (label for _, label in sorted({(clip.target, clip.label) for clip in part}))


def _n_folds(parts: Sequence[Iterable[Clip]]) -> list[int]:
    """Number of folds per part, 0 if it has none; lists of clips count as one protocol."""
    plain = max(
        (c.fold for part in parts if not isinstance(part, FoldedClips) for c in part), default=0
    )
    return [
        max(part.fold_numbers, default=0) if isinstance(part, FoldedClips) else plain
        for part in parts
    ]


def _deal(clips: Sequence[Clip], n_folds: int, seed: int) -> tuple[Clip, ...]:
    """Give a fold to every clip that has none."""
    fold = {clip.origin: clip.fold for clip in clips if clip.fold}
    rng = np.random.default_rng(seed)
    free = [clip for clip in clips if not clip.fold and clip.origin not in fold]
    label = {clip.origin: clip.label for clip in free}
    names = sorted(label)
    order = [names[i] for i in rng.permutation(len(names))]
    # In turn, sorted by class: each class is spread evenly, and so is the whole.
    for i, origin in enumerate(sorted(order, key=lambda origin: label[origin])):
        fold[origin] = 1 + i % n_folds
    return tuple(clip if clip.fold else replace(clip, fold=fold[clip.origin]) for clip in clips)
