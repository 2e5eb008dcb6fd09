from __future__ import annotations

import pytest
import scipy.ndimage
import torch

from soundsep.classifier.block_scorer import Row
from soundsep.pipeline.median import MedianFilter

LENGTHS = (1, 3, 7, 3)


@pytest.mark.parametrize("n_rows", [1, 2, 5, 40])
@pytest.mark.parametrize("size", [1, 3, 40])
def test_blocks_are_filtered_as_the_whole(n_rows, size):
    scores = torch.rand(n_rows, len(LENGTHS), generator=torch.Generator().manual_seed(n_rows))
    rows = [Row(i, i + 1, row) for i, row in enumerate(scores)]
    smooth = MedianFilter(LENGTHS)
    for _ in range(2):  # a filter that was flushed begins anew
        found = [row for i in range(0, n_rows, size) for row in smooth.push(rows[i : i + size])]
        found += smooth.flush()
        assert [row.end for row in found] == [row.end for row in rows]
        for column, length in enumerate(LENGTHS):
            expected = scipy.ndimage.median_filter(scores[:, column], size=length, mode="nearest")
            assert [float(row.scores[column]) for row in found] == expected.tolist()


def test_rows_wait_no_longer_than_half_the_filter():
    smooth = MedianFilter([5])
    given = [len(smooth.push([Row(i, i + 1, torch.zeros(1))])) for i in range(4)]
    assert given == [0, 0, 1, 1]
    assert len(smooth.flush()) == 2
    assert smooth.flush() == []
