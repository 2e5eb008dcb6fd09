from __future__ import annotations

import json
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder(Config):
    steps: tuple[Step, ...] = ()


def test_steps_in_a_config_come_back_from_json():
    holder = Holder(steps=STEPS)
    assert Holder.from_dict(json.loads(json.dumps(holder.to_dict()))) == holder
    with pytest.raises(ConfigError, match=r"Holder.steps\[0\]: no kind 'reverb'"):
        Holder.from_dict({"steps": [{"kind": "reverb"}]})


def test_probability_is_the_share_of_changed_clips():
    clips = noise(1000, 10)
    changed = (Polarity(probability=0.2).apply(clips, rng()) != clips).all(dim=1)
    assert 0.16 < changed.float().mean() < 0.24
    untouched = Polarity(probability=0.0).apply(clips, rng())
    assert torch.equal(untouched, clips)
    assert untouched is not clips


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
        (Noise(), torch.zeros(2, 4)[None, None]),
        (Mixup(), torch.zeros(2, 3, 4)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_a_step_does_not_take_is_named(step, x):
    with pytest.raises(ShapeError, match=f"{type(step).__name__} takes"):
        Augment([step])(x, torch.eye(2))
