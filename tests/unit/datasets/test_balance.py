from __future__ import annotations

import numpy as np
import pytest
import torch

from soundsep.datasets import balanced_order, class_weights
from soundsep.errors import DatasetError

TARGETS = [0] * 70 + [1] * 20 + [3] * 9 + [4]


def test_weights_give_every_class_the_same_say_and_keep_the_scale():
    weights = class_weights(TARGETS, n_classes=6)
    assert weights.dtype == torch.float32
    assert weights[[2, 5]].tolist() == [0, 0]
    of_clips = weights[torch.tensor(TARGETS)]
    assert of_clips.mean() == pytest.approx(1)
    sums = [float(of_clips[torch.tensor(TARGETS) == t].sum()) for t in (0, 1, 3, 4)]
    assert sums == pytest.approx([25] * 4)
    assert class_weights([1, 0, 1, 0]).tolist() == [1, 1]


def test_an_order_holds_every_class_equally_often():
    order = balanced_order(TARGETS, np.random.default_rng(0))
    counts = np.bincount(np.array(TARGETS)[order], minlength=5)
    assert counts.tolist() == [25, 25, 0, 25, 25]
    assert len(set(order[order < 70])) == 25  # a large class is not repeated
    uses = np.bincount(order, minlength=100)[70:99]  # small ones as evenly as can be
    assert set(uses[:20]) == {1, 2}
    assert set(uses[20:]) == {2, 3}


def test_the_order_is_that_of_the_seed_and_differs_from_epoch_to_epoch():
    rng = np.random.default_rng(0)
    first, second = balanced_order(TARGETS, rng), balanced_order(TARGETS, rng)
    assert first.tolist() == balanced_order(TARGETS, np.random.default_rng(0)).tolist()
    assert set(first) != set(second)
    assert sorted(balanced_order([0, 1, 0, 1], rng)) == [0, 1, 2, 3]
    assert len(balanced_order([0, 0, 0, 0, 1, 1, 2], rng)) == 7


def test_nothing_cannot_be_balanced():
    with pytest.raises(DatasetError, match="no clips"):
        class_weights([])
    with pytest.raises(DatasetError, match="no clips"):
        balanced_order([], np.random.default_rng(0))
    with pytest.raises(DatasetError, match="target 4 is not one of 2"):
        class_weights([0, 4], n_classes=2)
