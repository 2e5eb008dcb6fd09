from __future__ import annotations

import pytest
import scipy.ndimage
import torch

from soundsep.classifier.block_scorer import Rows
from soundsep.pipeline.median import MedianFilter

LENGTHS = (1, 3, 7, 3)


@pytest.mark.parametrize("n_rows", [1, 2, 5, 40])
@pytest.mark.parametrize("size", [1, 3, 40])
def test_blocks_are_filtered_as_the_whole(n_rows, size):
    scores = torch.rand(n_rows, len(LENGTHS), generator=torch.Generator().manual_seed(n_rows))
    rows = Rows(torch.arange(n_rows), torch.arange(1, n_rows + 1), scores)
    smooth = MedianFilter(LENGTHS)
    for _ in range(2):  # a filter that was flushed begins anew
        parts = [smooth.push(rows[i : i + size]) for i in (n_rows, *range(0, n_rows, size))]
        found = Rows.joined([*parts, smooth.flush()], len(LENGTHS))
        assert torch.equal(found.starts, rows.starts)
        assert torch.equal(found.ends, rows.ends)
        for column, length in enumerate(LENGTHS):
            expected = scipy.ndimage.median_filter(scores[:, column], size=length, mode="nearest")
            assert found.scores[:, column].tolist() == expected.tolist()


def test_rows_wait_no_longer_than_half_the_filter():
    smooth = MedianFilter([5])
    row = Rows(torch.zeros(1), torch.ones(1), torch.zeros(1, 1))
    given = [len(smooth.push(row)) for _ in range(4)]
    assert given == [0, 0, 1, 1]
    assert len(smooth.flush()) == 2
    assert len(smooth.flush()) == 0
