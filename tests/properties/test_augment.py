"""What every augmentation keeps to: the seed decides, clips are their own, eval does nothing."""

from __future__ import annotations

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
)

ON_WAVEFORMS = (
    PitchShift(max_semitones=4.0, probability=0.8),
    TimeStretch(max_rate=1.5, probability=0.8),
    Noise(),
    Gain(),
    Polarity(),
    Roll(),
    RandomCrop(length=1_500),
)
ON_FEATURES = (
    Roll(),
    RandomCrop(length=30, n_bands=20),
    Mask(axis="time", max_share=0.5),
    Mask(axis="frequency", max_share=0.5),
)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def name_of(value: object) -> str:
    return type(value).__name__ if not isinstance(value, torch.Tensor) else f"{value.ndim - 1}d"


CASES = [(s, noise(8, 2_000)) for s in ON_WAVEFORMS] + [(s, noise(8, 32, 40)) for s in ON_FEATURES]
each_step = pytest.mark.parametrize(("step", "x"), CASES, ids=name_of)


@each_step
def test_the_seed_decides_and_nothing_else_is_touched(step, x):
    before = x.clone()
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # watched
    augment, same = Augment([step], seed=3), Augment([step], seed=3)
    first, second = augment(x), augment(x)
    assert torch.equal(first, same(x))
    assert torch.equal(second, same(x))
    assert not torch.equal(first, second)
    assert not torch.equal(first, Augment([step], seed=4)(x))
    first.fill_(0)  # the result does not share the input's memory
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002  # watched


@each_step
def test_a_clip_is_changed_by_its_own_draw_whatever_its_neighbours_are(step, x):
    others = 100 * noise(*x.shape, seed=2)
    others[3], others[5] = x[3], 0
    together, apart = (Augment([step], seed=3)(batch) for batch in (x, others))
    torch.testing.assert_close(apart[3], together[3], atol=1e-6, rtol=0)
    alike = Augment([step], seed=3)(x[:1].expand_as(x))
    assert len(alike.flatten(1).unique(dim=0)) >= (2 if isinstance(step, Polarity) else 3)


@pytest.mark.parametrize("n_axes", [2, 3])
def test_eval_is_the_identity(n_axes):
    steps, x = (ON_WAVEFORMS, noise(4, 2_000)) if n_axes == 2 else (ON_FEATURES, noise(4, 32, 40))
    model = torch.nn.Sequential(Augment(steps)).eval()
    assert model(x) is x
    targets = torch.eye(4)
    same = Augment([Mixup()]).eval()(x, targets)
    assert same[0] is x
    assert same[1] is targets
    assert not torch.equal(model.train()(x), x)


@pytest.mark.parametrize("n_samples", [1, 2, 5, 300, 1_023])
def test_short_and_silent_clips_go_through_every_step(n_samples):
    augment = Augment([*ON_WAVEFORMS, Mixup()])
    for clips in (noise(6, n_samples), torch.zeros(6, n_samples)):
        out, targets = augment(clips, torch.eye(6))
        assert out.shape == clips.shape
        assert out.isfinite().all()
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(6))
    assert not out.any()  # silence stays silence
    tiny = Augment(ON_FEATURES)(noise(6, 1, n_samples))
    assert tiny.shape == (6, 1, min(n_samples, 30))
    assert tiny.isfinite().all()


def test_float64_stays_and_agrees():
    clips = noise(4, 4_000)
    single, double = (Augment(ON_WAVEFORMS[:-1])(c) for c in (clips, clips.double()))
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "step", [PitchShift(max_semitones=3.0, probability=1.0), TimeStretch(probability=1.0)]
)
def test_real_sounds_keep_their_loudness(step, real_clips):
    clips = torch.stack(real_clips)
    changed = Augment([step])(clips)
    assert changed.shape == clips.shape
    assert changed.isfinite().all()
    level_db = 10 * (changed.square().mean(dim=1) / clips.square().mean(dim=1)).log10()
    assert -2.5 < level_db.median() <= 0.2  # a vocoder makes noise quieter by up to 2 dB
    assert level_db.abs().max() < 5
