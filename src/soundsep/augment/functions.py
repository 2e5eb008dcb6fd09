"""Random functions on clips; the generator passed in decides everything."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.devices import check_rng, check_tensor
from soundsep.errors import ConfigError, ShapeError

__all__ = ["add_noise", "loudest_view", "mask", "mixup", "random_gain", "ring_slice"]


def loudest_view(
    waveform: Tensor,
    n_samples: int,
    *,
    rng: np.random.Generator,
    n_candidates: int = 1,
    max_speed: float = 1.0,
) -> Tensor:
    """A random part of a clip whose end is joined to its beginning, played at a random speed.

    Of ``n_candidates`` random starts the one with the most energy is taken, since the sound often
    fills only a part of its clip. With ``n_samples`` as long as the clip this is a roll. Where the
    speed changes, samples are interpolated linearly, which is fast and makes highs softer: by 1 dB
    at 0.4 of half the rate, and 4 dB at 0.8 of it.

    Args:
        waveform: One clip, of any rate.
        n_samples: Length of the result, in samples.
        rng: Source of the random numbers.
        n_candidates: Number of random starts to choose from, at least 1.
        max_speed: Speed is drawn log-uniformly from 1 / max_speed to max_speed, at least 1; pitch
            and tempo change together.

    Shape:
        waveform: (time,). Returns (n_samples,).

    Raises:
        ConfigError: ``n_samples``, ``n_candidates`` or ``max_speed`` is below 1, or ``rng`` is no
            generator.
        ShapeError: the clip is no floating-point tensor, not (time,), or empty.
    """
    check_tensor("loudest_view", waveform, "(time,)")
    check_rng(rng)
    if waveform.ndim != 1 or not len(waveform):
        raise ShapeError(f"loudest_view expects one clip (time,), got {tuple(waveform.shape)}")
    if n_samples < 1 or n_candidates < 1 or max_speed < 1:
        raise ConfigError(
            "loudest_view needs n_samples, n_candidates and max_speed of at least 1, got "
            f"{n_samples}, {n_candidates} and {max_speed}"
        )
    speed = math.exp(rng.uniform(-1, 1) * math.log(max_speed))
    length = waveform.shape[-1]
    starts = rng.integers(0, length, size=n_candidates).tolist()
    views = [ring_slice(waveform, start, math.ceil(n_samples * speed) + 1) for start in starts]
    view = max(views, key=lambda v: float(v.square().mean()))
    if max_speed == 1:
        return view[:n_samples].clone()
    position = torch.arange(n_samples, dtype=torch.float64) * speed
    left = position.long()
    fraction = (position - left).to(waveform)
    left = left.to(waveform.device)
    return torch.lerp(view[left], view[left + 1], fraction)


def ring_slice(waveform: Tensor, start: int, n_samples: int) -> Tensor:
    """Part of a clip whose end is joined to its beginning.

    Args:
        waveform: One clip.
        start: First sample of the part.
        n_samples: Length of the part, in samples; it may exceed that of the clip.

    Shape:
        waveform: (time,). Returns (n_samples,), a view where the part does not pass the end.
    """
    n_rounds = math.ceil((start + n_samples) / waveform.shape[-1])
    if n_rounds == 1:
        return waveform[start : start + n_samples]
    return waveform.repeat(n_rounds)[start : start + n_samples]


def random_gain(waveform: Tensor, *, max_db: float, rng: np.random.Generator) -> Tensor:
    """Make each clip louder or quieter, by a gain drawn uniformly in dB.

    Args:
        waveform: Batch of clips.
        max_db: Largest gain, up or down, in dB.
        rng: Source of the random numbers.

    Shape:
        waveform: (batch, time). Returns the same.

    Raises:
        ConfigError: ``rng`` is no generator.
        ShapeError: the batch is no floating-point tensor.
    """
    check_tensor("random_gain", waveform, "(batch, time)")
    check_rng(rng)
    gain_db = rng.uniform(-max_db, max_db, size=(waveform.shape[0], 1))
    return waveform * torch.from_numpy(10 ** (gain_db / 20)).to(waveform)


def add_noise(
    waveform: Tensor, *, snr_db: float | NDArray[np.float64], rng: np.random.Generator
) -> Tensor:
    """Add white Gaussian noise at a signal-to-noise ratio; silence stays silence.

    Both powers are means over the whole clip. The noise's power is measured, so that the ratio is
    exact.

    Args:
        waveform: Batch of clips.
        snr_db: Power of the clip relative to the noise, in dB; one value, or one per clip.
        rng: Source of the random numbers.

    Shape:
        waveform: (batch, time). snr_db: () or (batch,). Returns (batch, time).

    Raises:
        ConfigError: ``rng`` is no generator.
        ShapeError: the batch is no floating-point tensor.

    Examples:
        >>> noisy = add_noise(torch.ones(1, 1000), snr_db=20.0, rng=np.random.default_rng(0))
        >>> round(float((noisy - 1).square().mean()), 6)
        0.01
    """
    check_tensor("add_noise", waveform, "(batch, time)")
    check_rng(rng)
    noise = torch.from_numpy(rng.standard_normal(waveform.shape, dtype=np.float32)).to(waveform)
    share = torch.from_numpy(10 ** (-np.atleast_1d(snr_db) / 10)).to(waveform).unsqueeze(1)
    power, noise_power = (v.square().mean(dim=1, keepdim=True) for v in (waveform, noise))
    # The noise of a clip of one sample may be almost 0.
    return waveform + noise * (share * power / noise_power.clamp(min=1e-12)).sqrt()


def mixup(
    waveform: Tensor,
    targets: Tensor,
    *,
    probability: float,
    rng: np.random.Generator,
    alpha: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Mix each clip, with some probability, with another clip of the batch.

    Clips are brought to the same level first, so that the weights in the targets are those heard.

    Args:
        waveform: Batch of clips.
        targets: Class probabilities of each clip.
        probability: Chance that a clip is mixed, 0 to 1.
        rng: Source of the random numbers.
        alpha: The weights follow a Beta(alpha, alpha) distribution; 1 is uniform.

    Shape:
        waveform: (batch, time). targets: (batch, n_classes). Returns the same two.

    Raises:
        ConfigError: ``rng`` is no generator.
        ShapeError: one of them is no tensor, or the waveform not floating point.

    References:
        Zhang et al. (2018), "mixup: Beyond empirical risk minimization", ICLR.
        Tokozume et al. (2018), "Learning from between-class examples for deep sound recognition",
        ICLR, for the equal levels and the division by the root of the sum of squares.
    """
    check_tensor("mixup", waveform, "(batch, time)")
    check_tensor("mixup", targets, "(batch, n_classes)", is_float=False)
    check_rng(rng)
    n = waveform.shape[0]
    weight = np.where(rng.random(n) < probability, rng.beta(alpha, alpha, size=n), 1.0)
    partner = torch.from_numpy(rng.permutation(n)).to(waveform.device)
    w = torch.from_numpy(weight).to(waveform).unsqueeze(1)
    level = waveform.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-5)
    even = waveform / level
    mixed = (w * even + (1 - w) * even[partner]) / (w.square() + (1 - w).square()).sqrt()
    return mixed * level, w * targets + (1 - w) * targets[partner]


def mask(
    features: Tensor, *, dim: int, max_width: int, n_masks: int, rng: np.random.Generator
) -> Tensor:
    """Replace random bands of frequency (``dim=-2``) or time (``dim=-1``) by the clip's mean.

    Args:
        features: Features of a batch; each clip gets its own masks.
        dim: Axis to mask, -2 or -1.
        max_width: Widths are drawn uniformly from 0 to this, in bands or frames.
        n_masks: Masks per clip; they may overlap.
        rng: Source of the random numbers.

    Shape:
        features: (batch, n_bands, frames). Returns the same.

    Raises:
        ConfigError: ``rng`` is no generator.
        ShapeError: the features are no floating-point tensor.

    References:
        Park et al. (2019), "SpecAugment", Interspeech, section 2.
    """
    check_tensor("mask", features, "(batch, n_bands, frames)")
    check_rng(rng)
    n, size = features.shape[0], features.shape[dim]
    width = rng.integers(0, min(max_width, size) + 1, size=(n, n_masks, 1))
    start = rng.integers(0, size - width + 1)
    index = np.arange(size)
    hidden = torch.from_numpy(((index >= start) & (index < start + width)).any(axis=1))
    hidden = hidden.to(features.device)
    hidden = hidden.unsqueeze(1) if dim == -1 else hidden.unsqueeze(2)
    return torch.where(hidden, features.mean(dim=(-2, -1), keepdim=True), features)
