"""Classes of unequal size: weights for the loss, or an order that evens them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.devices import check_rng
from soundsep.errors import DatasetError

__all__ = ["balanced_order", "class_weights"]


def class_weights(targets: Sequence[int], *, n_classes: int | None = None) -> Tensor:
    """Weights, inverse to the size of the class, that give every class equal weight in the loss.

    Their mean over the clips is 1, so the loss keeps its scale. For
    ``torch.nn.functional.cross_entropy(..., weight=class_weights(targets))``.

    Args:
        targets: Index of the class of every training clip.
        n_classes: Number of classes; by default as many as occur. A class without a clip has
            weight 0.

    Shape:
        Returns (n_classes,) in float32.

    Raises:
        DatasetError: there are no clips, or a target is not below ``n_classes``.

    Examples:
        >>> class_weights([0, 0, 0, 1])
        tensor([0.6667, 2.0000])
    """
    counts = _counts(targets, n_classes)
    weights = len(targets) / np.count_nonzero(counts) / np.maximum(counts, 1)
    return torch.from_numpy(np.where(counts > 0, weights, 0.0).astype(np.float32))


def balanced_order(targets: Sequence[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """An order of the clips for one epoch in which every class occurs equally often.

    It is as long as an epoch over all clips. Of a large class some clips are left out, another
    choice each epoch; those of a small class are repeated, each as often as any other, give or
    take one.

    Args:
        targets: Index of the class of every clip.
        rng: Draws the order; the same state gives the same order.

    Shape:
        Returns (n,): indices of clips.

    Raises:
        ConfigError: ``rng`` is no generator.
        DatasetError: there are no clips.

    Examples:
        >>> order = balanced_order([0, 0, 0, 0, 0, 1], np.random.default_rng(0))
        >>> order.tolist().count(5), len(order)
        (3, 6)
    """
    check_rng(rng)
    target = np.asarray(targets, np.int64)
    classes = rng.permutation(np.flatnonzero(_counts(targets, None)))
    chosen = []
    for i, label in enumerate(classes):
        wanted = (len(target) + i) // len(classes)
        clips = np.flatnonzero(target == label)
        rounds = [rng.permutation(clips) for _ in range(wanted // len(clips) + 1)]
        chosen.append(np.concatenate(rounds)[:wanted])
    return rng.permutation(np.concatenate(chosen))


def _counts(targets: Sequence[int], n_classes: int | None) -> NDArray[np.int64]:
    if not len(targets):
        raise DatasetError("there are no clips whose classes could be balanced")
    counts = np.bincount(np.asarray(targets, np.int64), minlength=n_classes or 0)
    if n_classes is not None and len(counts) > n_classes:
        raise DatasetError(f"target {len(counts) - 1} is not one of {n_classes} classes")
    return counts
