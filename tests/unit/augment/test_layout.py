from __future__ import annotations

import numpy as np
import pytest
import torch

from soundsep.augment import (
    Mask,
    RandomCrop,
    Roll,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(30, 40), (30, 4, 40)])
def test_roll_is_circular_and_starts_anywhere(shape):
    x = noise(*shape)
    rolled = Roll().apply(x, rng())
    shifts = []
    for before, after in zip(x, rolled, strict=True):
        fits = [s for s in range(40) if torch.equal(before.roll(s, dims=-1), after)]
        assert len(fits) == 1
        shifts += fits
    assert len(set(shifts)) > 15


def test_crop_is_a_part_of_the_clip_elsewhere_in_each():
    x = torch.arange(12 * 20.0).view(1, 12, 20).expand(60, -1, -1)
    crops = RandomCrop(length=15, n_bands=8).apply(x, rng())
    assert crops.shape == (60, 8, 15)
    bands, frames = (crops[:, 0, 0] // 20).long(), (crops[:, 0, 0] % 20).long()
    for crop, band, frame in zip(crops, bands, frames, strict=True):
        assert torch.equal(crop, x[0, band : band + 8, frame : frame + 15])
    assert set(bands.tolist()) == set(range(5))
    assert set(frames.tolist()) == set(range(6))
    assert RandomCrop(length=15).apply(x, rng()).shape == (60, 12, 15)
    assert RandomCrop(length=15).apply(noise(2, 99), rng()).shape == (2, 15)
    assert torch.equal(RandomCrop(length=50, n_bands=99).apply(x, rng()), x)


@pytest.mark.parametrize(("axis", "other", "size"), [("time", 1, 40), ("frequency", 2, 20)])
def test_mask_hides_its_axis_up_to_the_share(axis, other, size):
    features = noise(200, 20, 40)
    masked = Mask(axis=axis, max_share=0.25).apply(features, rng())
    hidden = (masked != features).any(dim=other)
    assert torch.equal((masked != features).all(dim=other), hidden)
    assert int(hidden.sum(dim=1).max()) == size // 4
