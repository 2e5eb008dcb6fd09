from __future__ import annotations

import json
import math
from dataclasses import dataclass

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
    Step,
    TimeStretch,
    add_noise,
    mask,
    mixup,
    random_gain,
)
from soundsep.config import Config
from soundsep.errors import ConfigError, ShapeError

STEPS = (
    PitchShift(max_semitones=3.0, n_fft=512),
    TimeStretch(max_rate=1.3),
    Noise(snr_db=(5.0, 20.0)),
    Gain(max_db=12.0, probability=0.3),
    Polarity(),
    Roll(),
    RandomCrop(length=100),
    RandomCrop(length=100, n_bands=20),
    Mask(axis="frequency", n_masks=2),
    Mixup(alpha=0.4),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def snr_db(clean: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    return 10 * (clean.square().mean(dim=1) / (noisy - clean).square().mean(dim=1)).log10()


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder(Config):
    steps: tuple[Step, ...] = ()


def test_steps_in_a_config_come_back_from_json():
    holder = Holder(steps=STEPS)
    assert Holder.from_dict(json.loads(json.dumps(holder.to_dict()))) == holder
    with pytest.raises(ConfigError, match=r"Holder.steps\[0\]: no kind 'reverb'"):
        Holder.from_dict({"steps": [{"kind": "reverb"}]})


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


class HighestDraw:
    """Draws the top of every range, and chooses every clip."""

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


def test_probability_is_the_share_of_changed_clips():
    clips = noise(1000, 10)
    changed = (Polarity(probability=0.2).apply(clips, rng()) != clips).all(dim=1)
    assert 0.16 < changed.float().mean() < 0.24
    untouched = Polarity(probability=0.0).apply(clips, rng())
    assert torch.equal(untouched, clips)
    assert untouched is not clips


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


def test_a_chain_applies_its_steps_in_order():
    clips = noise(4, 100)
    chain = Augment([Gain(max_db=3.0), RandomCrop(length=60)], seed=2)
    generator = rng(2)
    expected = RandomCrop(length=60).apply(Gain(max_db=3.0).apply(clips, generator), generator)
    assert torch.equal(chain(clips), expected)
    assert torch.equal(chain(clips, rng=rng(2)), expected)
    assert Augment([])(clips) is clips
    assert "Gain(probability=1.0, max_db=3.0)" in repr(chain)
    with pytest.raises(ConfigError, match="no augmentation step: 'gain'; there are PitchShift"):
        Augment(["gain"])


@pytest.mark.parametrize(
    ("step", "x"),
    [
        (Gain(), torch.zeros(2, 3, 4)),
        (Mask(), torch.zeros(2, 4)),
        (Roll(), torch.zeros(4)),
        (RandomCrop(length=2, n_bands=2), torch.zeros(2, 4)),
        (Polarity(), torch.zeros(2, 0)),
        (Noise(), torch.zeros(2, 4, dtype=torch.int16)),
        (Mixup(), torch.zeros(2, 3, 4)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_a_step_does_not_take_is_named(step, x):
    with pytest.raises(ShapeError, match=f"{type(step).__name__} takes"):
        Augment([step])(x, torch.eye(2))
