"""Cross-validation that keeps recordings whole and classes in proportion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.config import check_whole
from soundsep.progress import progress_bar
from soundsep.training.frame_learner import FrameLearner
from soundsep.training.learner import Learner

__all__ = ["group_folds", "held_out_logits"]


def group_folds(
    targets: Sequence[int], groups: Sequence[str], *, n_folds: int, seed: int
) -> tuple[NDArray[np.int64], int]:
    """Assign whole groups to folds so that every class is spread evenly over them.

    A class with a single group cannot be held out and learnt at once. Its group is in no fold: it
    is trained on, and nothing is measured on it.

    Args:
        targets: Index of the class of each clip.
        groups: Name of the group of each clip.
        n_folds: Largest number of folds, at least 2; there are no more than the largest class has
            groups. A class of fewer is missing from some of them.
        seed: Seed of the order in which equal groups are assigned.

    Shape:
        Returns folds (n_clips,).

    Returns:
        The fold of each clip from 0, or -1 if it is in none; and the number of folds, 0 if no class
        has two groups.

    Raises:
        ConfigError: ``n_folds`` is below 2.

    Examples:
        >>> folds, n_folds = group_folds([0, 0, 1, 1], ["a", "b", "c", "d"], n_folds=5, seed=0)
        >>> n_folds, sorted(folds[:2]) == sorted(folds[2:]) == [0, 1]
        (2, True)
    """
    check_whole("n_folds", n_folds, least=2)
    target = np.asarray(targets, np.int64)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((group.max() + 1, target.max() + 1), np.int64)  # (n_groups, n_classes)
    np.add.at(counts, (group, target), 1)
    groups_of_class = (counts > 0).sum(axis=0)
    alone = groups_of_class < 2
    never = counts[:, alone].sum(axis=1) > 0  # groups that are in no fold
    # As many folds as the largest class allows: fewer would take clips of every class from the
    # training because one class is small.
    n_folds = min(n_folds, int((counts[~never] > 0).sum(axis=0).max(initial=0)))
    if n_folds == 0:
        return np.full(len(target), -1), 0
    share = counts / np.maximum(counts.sum(axis=0), 1)  # of each class, in each group
    fold_of_group = np.full(len(counts), -1)
    filled = np.zeros((n_folds, counts.shape[1]))
    order = np.random.default_rng(seed).permutation(len(counts))
    # The largest first: small ones can then even out the rest.
    for index in order[np.argsort(-share.max(axis=1)[order], kind="stable")]:
        if never[index]:
            continue
        after = filled[None] + np.eye(n_folds)[:, :, None] * share[index]
        # Ties, as between folds that lack this class, go to the one with the fewest clips.
        unevenness = after.std(axis=1).mean(axis=1).round(12)
        fold_of_group[index] = np.lexsort((filled.sum(axis=1), unevenness))[0]
        filled[fold_of_group[index]] += share[index]
    return fold_of_group[group], n_folds


def held_out_logits(
    learner: Learner | FrameLearner, folds: NDArray[np.int64], n_folds: int, *, progress: bool
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Logits of each clip by a model that was not trained on its recording.

    Args:
        learner: Learner that holds the clips.
        folds: Fold of each clip, -1 for clips that are always trained on.
        n_folds: Number of folds.
        progress: Show a progress bar.

    Shape:
        folds: (n,). Returns logits (n, n_classes), 0 for clips that were not held out, and whether
        each clip was held out (n,).
    """
    targets = learner.targets.numpy()
    logits = torch.zeros(len(folds), len(learner.labels))
    held_out = np.zeros(len(folds), np.bool_)
    bar = progress_bar(range(n_folds), progress=progress, unit="fold", desc="cross-validation")
    for fold in bar:
        rest = np.flatnonzero(folds != fold)
        # If recordings hold several classes, nothing of a class may be left to train on.
        chosen = np.flatnonzero((folds == fold) & np.isin(targets, targets[rest]))
        if len(chosen):
            logits[chosen] = learner.answer(learner.learn(rest), chosen)
            held_out[chosen] = True
    return logits, held_out
