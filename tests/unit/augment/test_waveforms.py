from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from soundsep.augment import (
    Augment,
    Gain,
    Mask,
    Mixup,
    Noise,
    PitchShift,
    Polarity,
    RandomCrop,
    Roll,
    TimeStretch,
    add_noise,
    mask,
    mixup,
    random_gain,
)
from soundsep.errors import ConfigError, ShapeError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def snr_db(clean: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    return 10 * (clean.square().mean(dim=1) / (noisy - clean).square().mean(dim=1)).log10()


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (PitchShift, {"max_semitones": 25.0}),
        (PitchShift, {"n_fft": 1022}),
        (PitchShift, {"probability": 1.1}),
        (TimeStretch, {"max_rate": 0.9}),
        (TimeStretch, {"n_fft": 8}),
        (Noise, {"snr_db": (10.0,)}),
        (Noise, {"snr_db": (30.0, 10.0)}),
        (Noise, {"snr_db": (0.0, math.nan)}),
        (Gain, {"max_db": -1.0}),
        (Polarity, {"probability": math.nan}),
        (Roll, {"probability": -0.1}),
        (Mask, {"axis": "bands"}),
        (Mask, {"max_share": 1.5}),
        (Mask, {"n_masks": 0}),
        (RandomCrop, {"length": 0}),
        (RandomCrop, {"length": 1, "n_bands": 0}),
        (Mixup, {"alpha": 0.0}),
        (Mixup, {"probability": 2.0}),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_by_name(step, wrong):
    with pytest.raises(ConfigError, match=f"{step.__name__}.{list(wrong)[-1]} must be"):
        step(**wrong)


def test_noise_lands_at_the_ratio_asked_for():
    clips = noise(5, 3_000) * torch.tensor([[1e-3], [0.1], [1.0], [30.0], [0.0]]) + 0.1
    clips[4] = 0
    wanted = np.array([-10.0, 0.0, 20.0, 40.0, 10.0])
    noisy = add_noise(clips, snr_db=wanted, rng=rng())
    expected = torch.from_numpy(wanted[:4]).float()
    torch.testing.assert_close(snr_db(clips, noisy)[:4], expected, atol=0.02, rtol=0)
    assert not noisy[4].any()  # of silence there is no ratio
    drawn = snr_db(clips[1:2].expand(300, -1), Noise(snr_db=(5.0, 9.0), probability=1.0).apply(
        clips[1:2].repeat(300, 1), rng()
    ))  # fmt: skip
    assert 4.99 < drawn.min() < 5.2
    assert 8.8 < drawn.max() < 9.01


def test_noise_is_white():
    added = add_noise(torch.ones(1, 2**16), snr_db=0.0, rng=rng())[0] - 1
    bands = torch.fft.rfft(added).abs().square()[1:].view(16, -1).mean(dim=1)
    assert bands.max() / bands.min() < 1.2


class HighestDraw(np.random.Generator):
    """Draws the top of every range, and chooses every clip."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def random(self, size: int) -> np.ndarray:
        return np.zeros(size)

    def uniform(self, low: float, high: float, size: object = None) -> np.ndarray:
        return np.full(size, high)


def test_gain_is_exact_in_db():
    clips = noise(3, 500)
    louder = Gain(max_db=6.0).apply(clips, HighestDraw())
    gain_db = 10 * (louder.square().sum(dim=1) / clips.square().sum(dim=1)).log10()
    torch.testing.assert_close(gain_db, torch.full((3,), 6.0))


def test_pitch_and_tempo_reach_the_end_of_their_range():
    time = torch.arange(16_000) / 16_000
    clip = torch.sin(2 * math.pi * 1000 * time)[None] * (time < 0.5)
    for step, heard_hz, heard_seconds in (
        (PitchShift(max_semitones=12.0), 2000, 0.5),
        (TimeStretch(max_rate=1.25), 1000, 0.4),
    ):
        changed = step.apply(clip, HighestDraw())[0]
        once = changed[:9_000]  # a hastened clip begins again at 0.8 s
        assert int(torch.fft.rfft(changed).abs().argmax()) == pytest.approx(heard_hz, abs=3)
        half = (once.abs() > 0.5).nonzero().max() / 16_000
        assert float(half) == pytest.approx(heard_seconds, abs=0.02)


def test_hastened_clips_begin_again_and_slowed_ones_are_cut():
    clip = torch.zeros(1, 16_000)
    clip[:, :2_000] = noise(2_000)
    fast = TimeStretch(max_rate=2.0).apply(clip, HighestDraw())[0]
    assert torch.equal(fast[8_000:], fast[:8_000])
    slow = TimeStretch(max_rate=2.0, probability=1.0).apply(noise(20, 500), rng())
    assert slow.shape == (20, 500)


def test_polarity_is_minus_1():
    clips = noise(2, 50)
    assert torch.equal(Polarity(probability=1.0).apply(clips, rng()), -clips)


def test_mixup_needs_the_targets():
    clips, targets = noise(6, 100), torch.eye(6)
    with pytest.raises(ConfigError, match="pass them beside the clips"):
        Augment([Mixup()])(clips)
    with pytest.raises(ShapeError, match=r"targets \(6, n_classes\)"):
        Augment([Mixup()])(clips, targets[:5])


def test_steps_draw_what_the_functions_draw():
    # Runs of the recipes from before there were steps stay reproducible.
    clips, targets, features = noise(6, 100), torch.eye(6), noise(6, 20, 40)
    generator, same = rng(5), rng(5)
    heard, mixed = Augment([Gain(max_db=6.0), Mixup()])(clips, targets, rng=generator)
    masks = [Mask(axis="frequency", n_masks=2), Mask(axis="time", n_masks=2)]
    masked = Augment(masks)(features, rng=generator)
    louder = random_gain(clips, max_db=6.0, rng=same)
    expected, weights = mixup(louder, targets, probability=0.5, rng=same)
    for dim, width in ((-2, 3), (-1, 6)):
        features = mask(features, dim=dim, max_width=width, n_masks=2, rng=same)
    assert torch.equal(heard, expected)
    assert torch.equal(mixed, weights)
    assert torch.equal(masked, features)
