from __future__ import annotations

import random

import pytest
import torch

from soundsep.separator.overlap import Cutting, overlap_add


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("every_step", [False, True])
def test_any_cutting_into_blocks_gives_the_same(every_step):
    cutting = Cutting(segment=100, step=75, context=100, every_step=every_step)
    shape = random.Random(0)
    signal = noise(2, 1_234)

    def hear(recording: torch.Tensor, start: int, n: int) -> torch.Tensor:
        # Depends on where in the segment a sample lies, and on what lies before it.
        ramp = torch.linspace(0, 1, n)
        before = recording[:, max(0, start - 50) : start].sum()
        return torch.stack((recording[:, start : start + n] * ramp, ramp * before + signal[:, :n]))

    whole = torch.cat(list(overlap_add([signal], hear, cutting)), dim=-1)
    assert whole.shape == (2, 2, 1_234)
    for _ in range(30):
        cuts = sorted(shape.sample(range(1, 1_234), shape.choice([1, 5, 200])))
        blocks = torch.tensor_split(signal, cuts, dim=1)
        assert torch.equal(torch.cat(list(overlap_add(blocks, hear, cutting)), dim=-1), whole)


def test_where_segments_overlap_each_counts_more_towards_its_middle():
    values = iter((0.0, 1.0))
    signal, cutting = torch.zeros(1, 6), Cutting(segment=4, step=2, context=0)
    parts = overlap_add([signal], lambda x, start, n: torch.full((1, 1, n), next(values)), cutting)
    # The triangle over a segment is 1, 2, 2, 1.
    mean = torch.cat(list(parts), dim=-1)[0, 0].tolist()
    assert mean == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1])


def test_no_more_is_read_than_what_is_needed_next():
    read = written = 0

    def blocks():
        nonlocal read
        for _ in range(1_000):
            read += 10
            yield torch.ones(1, 10)

    cutting = Cutting(segment=100, step=75, context=100)
    for stretch in overlap_add(
        blocks(), lambda x, start, n: x[None, :, start : start + n], cutting
    ):
        assert read - written <= 100 + 100 + 10
        written += stretch.shape[-1]
    assert written == read == 10_000
