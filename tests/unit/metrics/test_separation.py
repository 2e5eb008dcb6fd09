from __future__ import annotations

import math

import pytest
import torch

from soundsep.errors import ConfigError, ShapeError
from soundsep.metrics import permutation_invariant, reorder, si_sdr, si_sdr_improvement, snr


def parts(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_si_sdr_of_noise_at_a_known_level_whatever_the_loudness():
    target = torch.sin(torch.arange(8_000) * 0.1)
    noise = torch.cos(torch.arange(8_000) * 0.1)  # orthogonal, of the same power
    for scale in (0.01, 1.0, 300.0):
        assert si_sdr(scale * (target + 0.1 * noise), target) == pytest.approx(20.0, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e-3, 100.0])
def test_half_precision_is_computed_in_float32(dtype, scale):
    target = (scale * parts(80_000)).to(dtype)
    estimate = target + 0.1 * target.flip(0)
    for metric in (si_sdr, snr):
        assert metric(estimate, target) == metric(estimate.float(), target.float())
    assert si_sdr(estimate.double(), target) == si_sdr(estimate.double(), target.double())


def test_snr_counts_loudness():
    target = parts(1_000)
    assert snr(0.5 * target, target) == pytest.approx(10 * math.log10(4))
    assert snr(target, target) == math.inf
    for ceiling in (30.0, 0.0):
        assert snr(target, target, ceiling_db=ceiling) == pytest.approx(ceiling, abs=1e-5)


def test_silence_is_not_given_a_number_that_looks_like_one():
    sound, silence = parts(100), torch.zeros(100)
    assert si_sdr(sound, silence).isnan()
    assert si_sdr(silence, silence).isnan()
    assert si_sdr(silence, sound) == -math.inf
    both = si_sdr(torch.stack((silence, sound)), torch.stack((sound, 2 * sound)))
    assert both[0] == -math.inf
    assert both[1] > 60  # each row for itself
    digital = sound.masked_fill(torch.arange(100) < 10, 0.0)  # silent in parts only
    assert si_sdr(digital, sound) > 5
    assert si_sdr_improvement(silence, sound, sound + 0.1) == -math.inf


def test_improvement_of_the_mixture_itself_is_nothing():
    sources = parts(2, 500)
    mixture = sources.sum(dim=0)
    assert si_sdr_improvement(mixture.expand(2, -1), sources, mixture).tolist() == [0.0, 0.0]
    assert (si_sdr_improvement(sources + 0.01 * mixture, sources, mixture) > 10).all()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]])
def test_every_clip_gets_its_own_best_order(order):
    targets = parts(2, 3, 400)
    estimates = torch.stack([targets[0][order], targets[1]]) + 0.1 * parts(2, 3, 400).flip(2)
    values, found = permutation_invariant(estimates, targets)
    assert found.tolist() == [[order.index(j) for j in range(3)], [0, 1, 2]]
    assert (values > 15).all()
    torch.testing.assert_close(si_sdr(reorder(estimates, found), targets), values)


def test_a_silent_target_leaves_the_others_their_order():
    sound = parts(1, 1, 400)
    targets = torch.cat([sound, torch.zeros_like(sound)], dim=1)
    estimates = torch.cat([0.01 * parts(1, 1, 401)[..., 1:], 0.97 * sound], dim=1)
    assert permutation_invariant(estimates, targets, snr)[1].tolist() == [[1, 0]]


def test_an_order_without_a_lost_source_is_better_whatever_the_others_gain():
    values = torch.tensor([[-math.inf, 0.0, -9.0], [-9.0, 5.0, 0.0], [0.0, -9.0, 5.0]])

    def metric(estimate, target):
        return values[target[:, 0].long(), estimate[:, 0].long()]

    numbers = torch.arange(3.0).reshape(1, 3, 1)
    chosen, order = permutation_invariant(numbers, numbers, metric)
    assert order.tolist() == [[1, 2, 0]]
    assert chosen.tolist() == [[0, 0, 0]]


def test_an_order_without_a_lost_source_is_better_where_the_others_gain_nothing():
    numbers = torch.arange(2.0).reshape(1, 2, 1)
    lost = torch.tensor([-math.inf, 0.0])
    _, order = permutation_invariant(
        numbers, numbers, lambda estimate, target: lost[(estimate != target)[:, 0].long()]
    )
    assert order.tolist() == [[1, 0]]


def test_six_sources_can_be_paired():
    sources = parts(1, 6, 20)
    _, order = permutation_invariant(sources.flip(1), sources)
    assert order.tolist() == [[5, 4, 3, 2, 1, 0]]


def test_a_target_without_a_number_leaves_the_others_their_order():
    targets = parts(1, 3, 400)
    targets[:, 2] = 0.0  # si_sdr is NaN
    estimates = targets[:, [1, 0, 2]] + 0.1 * parts(1, 3, 401)[..., 1:]
    _, order = permutation_invariant(estimates, targets)
    assert order.tolist() == [[1, 0, 2]]


def test_any_metric_of_which_more_is_better_will_do():
    targets = 1e4 * parts(1, 2, 400)
    estimates = 0.9 * targets.flip(1)
    _, order = permutation_invariant(estimates, targets, lambda a, b: -(a - b).abs().sum(dim=-1))
    assert order.tolist() == [[1, 0]]


def test_the_best_order_is_learnt_through():
    targets = parts(1, 2, 200)
    estimates = (targets.flip(1) * 0.9).requires_grad_()
    permutation_invariant(estimates, targets, snr)[0].sum().backward()
    assert estimates.grad is not None
    assert estimates.grad.isfinite().all()
    assert estimates.grad.abs().sum() > 0


def test_what_cannot_be_compared():
    with pytest.raises(ShapeError, match="same shape"):
        si_sdr(parts(10), parts(11))
    with pytest.raises(ShapeError, match="same shape"):
        snr(parts(2, 0), parts(2, 0))
    with pytest.raises(ShapeError, match="n_sources, time"):
        permutation_invariant(parts(2, 10), parts(2, 10))
    with pytest.raises(ShapeError, match="same shape"):
        permutation_invariant(parts(1, 3, 10), parts(1, 2, 10))  # one would go unheard
    with pytest.raises(ShapeError, match="same shape"):
        si_sdr(torch.tensor(1.0), torch.tensor(1.0))
    with pytest.raises(ShapeError, match="a metric of separation expects a tensor"):
        si_sdr(parts(10).numpy(), parts(10))
    with pytest.raises(ShapeError, match="si_sdr_improvement expects a tensor"):
        si_sdr_improvement(parts(10), parts(10), parts(10).numpy())
    with pytest.raises(ConfigError, match="at most 6"):
        permutation_invariant(parts(1, 7, 10), parts(1, 7, 10))
    with pytest.raises(ShapeError, match="does not fit targets"):
        si_sdr_improvement(parts(2, 10), parts(2, 10), parts(3, 10))
