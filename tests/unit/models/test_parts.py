from __future__ import annotations

import pytest
import torch

from soundsep.models.parts import MaxPool


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (32, 125), (31, 126)])
def test_pools_round_up_and_are_the_same_when_traced(size, monkeypatch):
    pool, pool_1d = MaxPool(4, 2), MaxPool(1, 4)
    x = -torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    eager, eager_1d = pool(x), pool_1d(x[:, :, :1])
    assert eager.shape == (2, 3, -(-size[0] // 4), -(-size[1] // 2))
    assert eager[1, 2, -1, -1] == x[1, 2, (size[0] - 1) // 4 * 4 :, (size[1] - 1) // 2 * 2 :].max()
    assert eager_1d.shape == (2, 3, 1, -(-size[1] // 4))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(pool(x), eager)
    assert torch.equal(pool_1d(x[:, :, :1]), eager_1d)
