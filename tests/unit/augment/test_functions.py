from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from soundsep.augment import loudest_view, mask, mixup, random_gain
from soundsep.errors import ConfigError, ShapeError

RATE = 8_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def tone(hz: float, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(RATE * seconds), dtype=torch.float64) / RATE
    return torch.sin(2 * math.pi * hz * time).float()


class FixedSpeed(np.random.Generator):
    """Draws the end of the range that plays fastest (1) or slowest (-1)."""

    def __init__(self, end: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.end = end

    def uniform(self, low: float, high: float) -> float:
        return high if self.end == 1 else low

    def integers(self, low: int, high: int, size: int) -> np.ndarray:
        return rng().integers(low, high, size=size)


@pytest.mark.parametrize(("end", "heard"), [(1, 400), (-1, 100)])
def test_speed_changes_the_frequency_by_its_factor(end, heard):
    view = loudest_view(tone(200), RATE, rng=FixedSpeed(end), max_speed=2.0)
    spectrum = torch.fft.rfft(view * torch.hann_window(RATE)).abs()
    assert view.shape == (RATE,)
    assert int(spectrum.argmax()) == heard
    assert view.square().mean() == pytest.approx(0.5, rel=0.02)


def test_whole_clip_without_speed_is_a_roll():
    clip = noise(1000)
    view = loudest_view(clip, 1000, rng=rng(3))
    shift = int((clip == view[0]).nonzero())
    assert shift > 0
    assert torch.equal(view, clip.roll(-shift))


def test_loudest_candidate_wins():
    clip = torch.zeros(10_000)
    clip[5_000:5_500] = 1.0
    loud = loudest_view(clip, 500, rng=rng(), n_candidates=500)
    assert loud.mean() > 0.9
    energies = [
        float(
            np.mean([loudest_view(clip, 500, rng=rng(s), n_candidates=n).mean() for s in range(40)])
        )
        for n in (1, 8)
    ]
    assert energies[1] > 2 * energies[0]


def test_view_may_be_longer_than_the_clip():
    view = loudest_view(torch.tensor([1.0, 2.0, 3.0]), 8, rng=rng())
    assert torch.equal(view[3:6], view[:3])
    assert torch.equal(view[6:], view[:2])
    assert loudest_view(torch.ones(1), 50, rng=rng(), max_speed=1.5).tolist() == [1.0] * 50


@pytest.mark.parametrize(
    "wrong",
    [{"n_samples": 0}, {"n_candidates": 0}, {"max_speed": 0.9}],
    ids=lambda w: next(iter(w)),
)
def test_view_refuses_counts_and_speeds_below_1(wrong):
    settings = {"n_samples": 10, "n_candidates": 1, "max_speed": 1.0, **wrong}
    with pytest.raises(ConfigError, match="at least 1"):
        loudest_view(noise(100), rng=rng(), **settings)


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_view_refuses_what_is_no_clip(shape):
    with pytest.raises(ShapeError, match="one clip"):
        loudest_view(torch.zeros(shape), 10, rng=rng())


def test_gain_is_one_factor_a_clip_within_the_range():
    waveform = noise(200, 50)
    ratio = random_gain(waveform, max_db=6.0, rng=rng()) / waveform
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    gain_db = 20 * ratio[:, 0].log10()
    assert gain_db.abs().max() <= 6.0 + 1e-4
    assert gain_db.min() < -5
    assert gain_db.max() > 5


def test_mixed_targets_are_the_weights_that_are_heard():
    tones = torch.stack([tone(100 * (k + 1)) for k in range(6)])
    levels = torch.tensor([[1.0], [0.1], [0.5], [2.0], [0.02], [1.0]])
    mixed, targets = mixup(tones * levels, torch.eye(6), probability=1.0, rng=rng())
    heard = mixed @ tones.T / tones.square().sum(dim=1)
    torch.testing.assert_close(
        heard / heard.sum(dim=1, keepdim=True), targets, atol=1e-4, rtol=1e-4
    )
    assert (targets > 0.01).sum(dim=1).max() == 2
    # Sounds that have nothing in common keep the level of the clip they are mixed into.
    two = (targets > 1e-3).sum(dim=1) == 2
    level = mixed.square().mean(dim=1).sqrt() / (tones * levels).square().mean(dim=1).sqrt()
    torch.testing.assert_close(level[two], torch.ones(int(two.sum())), atol=1e-3, rtol=1e-3)


def test_mixed_targets_sum_to_1():
    targets = torch.full((40, 5), 0.2).softmax(dim=1)
    mixed, new = mixup(noise(40, 100), targets, probability=0.5, rng=rng(), alpha=0.3)
    torch.testing.assert_close(new.sum(dim=1), torch.ones(40))
    assert mixed.isfinite().all()


def test_share_of_mixed_clips_is_the_probability():
    waveform, targets = noise(400, 20), torch.eye(400)
    same, unchanged = mixup(waveform, targets, probability=0.0, rng=rng())
    torch.testing.assert_close(same, waveform)
    assert torch.equal(unchanged, targets)
    _, mixed = mixup(waveform, targets, probability=0.25, rng=rng())
    assert 0.18 < float((mixed.amax(dim=1) < 1).float().mean()) < 0.32


def test_silence_stays_finite_when_mixed():
    mixed, _ = mixup(torch.zeros(4, 100), torch.eye(4), probability=1.0, rng=rng())
    assert not mixed.any()


@pytest.mark.parametrize("dim", [-2, -1])
def test_mask_is_one_band_within_the_width_and_the_rest_is_untouched(dim):
    features = noise(100, 20, 30)
    masked = mask(features, dim=dim, max_width=6, n_masks=1, rng=rng())
    changed = masked != features
    hidden = changed.any(dim=-1 if dim == -2 else -2)  # (batch, masked axis)
    widths = hidden.sum(dim=1)
    assert widths.min() == 0
    assert widths.max() == 6
    edges = hidden.int().diff(dim=1, prepend=torch.zeros(100, 1, dtype=torch.int))
    assert (edges == 1).sum(dim=1).max() == 1  # one run
    mean = features.mean(dim=(1, 2), keepdim=True).expand_as(features)
    assert torch.equal(masked[changed], mean[changed])
    whole = hidden.unsqueeze(2) if dim == -2 else hidden.unsqueeze(1)
    assert torch.equal(changed, whole.expand_as(changed))  # over the whole other axis


def test_mask_wider_than_the_features_and_none_at_all():
    features = noise(50, 4, 5)
    assert torch.equal(mask(features, dim=-1, max_width=0, n_masks=3, rng=rng()), features)
    assert mask(features, dim=-2, max_width=99, n_masks=1, rng=rng()).shape == features.shape


AUGMENTATIONS = {
    "view": lambda x, g: loudest_view(x[0, 0], 300, rng=g, n_candidates=3, max_speed=1.3),
    "gain": lambda x, g: random_gain(x[0], max_db=6, rng=g),
    "mixup": lambda x, g: torch.cat(mixup(x[0], torch.eye(x.shape[1]), probability=0.7, rng=g), 1),
    "mask": lambda x, g: mask(x, dim=-1, max_width=100, n_masks=2, rng=g),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_seed_decides_everything_and_the_input_stays(name):
    augment, x = AUGMENTATIONS[name], noise(2, 8, 400)
    before = x.clone()
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # watched
    first = augment(x, rng(7))
    assert torch.equal(first, augment(x, rng(7)))
    assert not torch.equal(first, augment(x, rng(8)))
    first.fill_(0)  # the result does not share the input's memory
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002  # watched
