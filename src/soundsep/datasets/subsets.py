"""Parts of lists of clips: a few of each class, one more fold held out, those of several labels."""

from __future__ import annotations

from collections.abc import Sequence

from soundsep.datasets.clip import Clip
from soundsep.datasets.leakage import without_origins_of
from soundsep.errors import ConfigError

__all__ = ["few_of_each", "hold_out", "not_learnt", "of_several_labels"]


def few_of_each(clips: Sequence[Clip], limit: int | None) -> tuple[Clip, ...]:
    """At most ``limit`` of the clips, the classes in turn."""
    seen: dict[str, int] = {}
    turns = []
    for clip in clips:
        seen[clip.label] = seen.get(clip.label, 0) + 1
        turns.append(seen[clip.label])
    order = sorted(range(len(clips)), key=lambda i: turns[i])
    return tuple(clips[i] for i in sorted(order[:limit]))


def hold_out(
    training: Sequence[Clip], fold: int | None
) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """The training clips without one of their folds, by default the last, and that fold.

    Raises:
        ConfigError: the fold does not exist, or there is no other.
    """
    folds = sorted({clip.fold for clip in training})
    fold = fold or folds[-1]
    if fold not in folds or len(folds) < 2:
        raise ConfigError(
            f"cannot hold out fold {fold} as well: there are training clips in the folds {folds}"
        )
    asked = tuple(clip for clip in training if clip.fold == fold)
    rest = (clip for clip in training if clip.fold != fold)
    return without_origins_of(rest, asked), asked


def not_learnt(training: Sequence[Clip], others: Sequence[Clip]) -> list[str]:
    """A note on the classes that have no training clips."""
    absent = sorted({clip.label for clip in others} - {clip.label for clip in training})
    return [f"in the fold held out only, so not learnt: {', '.join(absent)}"] if absent else []


def of_several_labels(clips: Sequence[Clip], labels: Sequence[str]) -> tuple[Clip, ...]:
    """The clips that hold at least two of the labels."""
    known = frozenset(labels)
    return tuple(clip for clip in clips if len(known & {clip.label, *clip.also}) > 1)
