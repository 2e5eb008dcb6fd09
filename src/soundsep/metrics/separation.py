"""Metrics of separation, in dB; differentiable, so that training can use them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from soundsep.devices import check_tensor
from soundsep.errors import ConfigError, ShapeError

__all__ = ["permutation_invariant", "reorder", "si_sdr", "si_sdr_improvement", "snr"]

MAX_SOURCES = 6  # 720 orders, all of which are tried


def snr(estimate: Tensor, target: Tensor, *, ceiling_db: float | None = None) -> Tensor:
    """Signal-to-noise ratio in dB: the power of the target over that of the estimate's error.

    Args:
        estimate: Separated waveforms.
        target: True waveforms.
        ceiling_db: Upper limit of the ratio, so that training does not go on improving mixtures
            that are solved already; ``None`` sets no limit.

    Shape:
        estimate, target: (..., time), the same. Returns (...).

    Raises:
        ShapeError: the two differ in shape, have no samples, or are not floating point.

    Examples:
        >>> tone = torch.sin(torch.arange(1000.0))
        >>> round(snr(tone * 0.9, tone).item(), 3)
        20.0
    """
    estimate, target = _checked(estimate, target)
    power = target.square().sum(dim=-1)
    noise = (estimate - target).square().sum(dim=-1)
    if ceiling_db is not None:
        noise = noise + 10 ** (-ceiling_db / 10) * power
    return _decibels(power, noise)


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB.

    The target is scaled to fit the estimate best, so that the loudness of the estimate does not
    count; the mean is not removed. A silent target gives NaN, since the ratio is not defined; a
    silent estimate gives minus infinity.

    Shape:
        estimate, target: (..., time), the same. Returns (...).

    Raises:
        ShapeError: the two differ in shape, have no samples, or are not floating point.

    References:
        Le Roux et al. (2019), "SDR: half-baked or well done?", ICASSP (arXiv 1811.02508), eq. 4.

    Examples:
        >>> time = torch.arange(1000.0)
        >>> tone, other = torch.sin(time), torch.cos(time)
        >>> round(si_sdr(5 * (tone + 0.1 * other), tone).item(), 1)
        20.0
    """
    estimate, target = _checked(estimate, target)
    scale = (estimate * target).sum(dim=-1, keepdim=True) / target.square().sum(
        dim=-1, keepdim=True
    )
    fitted = scale * target
    ratio = _decibels(fitted.square().sum(dim=-1), (estimate - fitted).square().sum(dim=-1))
    is_lost = (estimate == 0).all(dim=-1) & (target != 0).any(dim=-1)  # 0 / 0 otherwise
    return ratio.masked_fill(is_lost, -torch.inf)


def si_sdr_improvement(estimate: Tensor, target: Tensor, mixture: Tensor) -> Tensor:
    """`si_sdr` of an estimate minus that of the mixture itself, in dB.

    Shape:
        estimate, target, mixture: (..., time); the mixture may lack leading axes. Returns (...).

    Raises:
        ShapeError: estimate and target differ in shape, the mixture does not broadcast to it, or
            there are no samples, or they are not floating point.
    """
    check_tensor("si_sdr_improvement", mixture, "(..., time)")
    try:
        mixture = mixture.expand_as(target)
    except RuntimeError as error:
        raise ShapeError(
            f"a mixture of shape {tuple(mixture.shape)} does not fit targets of shape "
            f"{tuple(target.shape)}"
        ) from error
    return si_sdr(estimate, target) - si_sdr(mixture, target)


def permutation_invariant(
    estimates: Tensor, targets: Tensor, metric: Callable[[Tensor, Tensor], Tensor] = si_sdr
) -> tuple[Tensor, Tensor]:
    """The best mean of a metric over all ways to pair estimates with targets.

    Args:
        estimates: Separated sources, in any order.
        targets: True sources.
        metric: Takes two tensors (batch, time) and returns (batch,); higher is better.

    Shape:
        estimates, targets: (batch, n_sources, time). Returns the metric (batch, n_sources), source
        by source in the order of the targets, and the order (batch, n_sources): which estimate
        belongs to each target.

    Raises:
        ShapeError: the two differ in shape, are not (batch, n_sources, time), or not floating
            point.
        ConfigError: there are more than `MAX_SOURCES` sources.

    References:
        Yu et al. (2017), "Permutation invariant training of deep models for speaker-independent
        multi-talker speech separation", ICASSP (arXiv 1607.00325).

    Examples:
        >>> targets = torch.randn(1, 2, 100)
        >>> _, order = permutation_invariant(targets.flip(1), targets)
        >>> order.tolist()
        [[1, 0]]
    """
    estimates, targets = _checked(estimates, targets)
    if targets.ndim != 3:
        raise ShapeError(f"expected (batch, n_sources, time), got shape {tuple(targets.shape)}")
    n_sources = targets.shape[1]
    if n_sources > MAX_SOURCES:
        raise ConfigError(f"at most {MAX_SOURCES} sources can be paired, got {n_sources}")
    sources = range(n_sources)
    table = torch.stack(
        [
            torch.stack([metric(estimates[:, i], targets[:, j]) for i in sources], dim=-1)
            for j in sources
        ],
        dim=1,
    )  # (batch, target, estimate)
    orders = torch.tensor([*itertools.permutations(sources)], device=table.device)
    values = torch.stack([table[:, j, orders[:, j]] for j in sources], dim=-1)
    # An infinite value would outweigh all other sources of its order.
    plain = values.detach().double()
    bound = 1 + n_sources * plain.where(plain.isfinite(), 0.0).abs().max()
    plain = plain.where(~plain.isnan(), 0.0).clamp(-bound, bound)
    best = plain.mean(dim=-1).argmax(dim=1)
    chosen = values.gather(1, best[:, None, None].expand(-1, 1, n_sources))[:, 0]
    return chosen, orders[best]


def reorder(estimates: Tensor, order: Tensor) -> Tensor:
    """Put estimates into the order that `permutation_invariant` found.

    Shape:
        estimates: (batch, n_sources, time). order: (batch, n_sources). Returns as estimates.
    """
    return estimates.gather(1, order[:, :, None].expand_as(estimates))


def _decibels(signal: Tensor, noise: Tensor) -> Tensor:
    return 10 * (signal / noise).log10()


def _checked(estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32 at least: half precision holds neither small squares nor large sums."""
    for tensor in (estimate, target):
        check_tensor("a metric of separation", tensor, "(..., time)")
    if estimate.shape != target.shape or not target.ndim or target.shape[-1] == 0:
        raise ShapeError(
            "estimate and target must have the same shape (..., time), got "
            f"{tuple(estimate.shape)} and {tuple(target.shape)}"
        )
    dtype = torch.promote_types(torch.promote_types(estimate.dtype, target.dtype), torch.float32)
    return estimate.to(dtype), target.to(dtype)
