"""Changes to whole batches, drawn and made on their device.

`soundsep.augment` works clip by clip, with random numbers that are the same on every device.
"""

from __future__ import annotations

import math

import torch
from scipy import fft
from torch import Tensor

__all__ = ["add_coloured_noise", "limit_band", "mask_batch", "mix_batch", "reverberate"]

MIN_RMS = 1e-7


def mix_batch(
    waveform: Tensor, targets: Tensor, *, probability: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`soundsep.augment.mixup` with uniform weights, on the batch's device.

    Args:
        waveform: Batch of clips.
        targets: Class probabilities of each clip.
        probability: Chance that a clip is mixed, 0 to 1.
        generator: Source of the random numbers, on the same device.

    Shape:
        waveform: (batch, time). targets: (batch, n_classes). Returns the same two.
    """
    n, device = len(waveform), waveform.device
    drawn = torch.rand(3, n, 1, generator=generator, device=device)
    w = torch.where(drawn[0] < probability, drawn[1], 1.0)
    partner = torch.randperm(n, generator=generator, device=device)
    level = _rms(waveform).clamp(min=1e-5)
    even = waveform / level
    mixed = (w * even + (1 - w) * even[partner]) / (w.square() + (1 - w).square()).sqrt()
    return mixed * level, w * targets + (1 - w) * targets[partner]


def add_coloured_noise(
    waveform: Tensor, *, snr_db: Tensor, colour: Tensor, generator: torch.Generator
) -> Tensor:
    """Add noise whose power falls with frequency to the power ``colour``; the ratio is exact.

    Args:
        waveform: Batch of clips.
        snr_db: Power of each clip relative to its noise, in dB.
        colour: Exponent of each noise: 0 is white, 1 pink, 2 brown.
        generator: Source of the random numbers, on the same device.

    Shape:
        waveform: (batch, time). snr_db, colour: (batch,). Returns (batch, time).
    """
    n_samples = waveform.shape[-1]
    noise = torch.randn(waveform.shape, generator=generator, device=waveform.device)
    spectrum = torch.fft.rfft(noise)
    n_bins = spectrum.shape[-1]
    # Flat below a 500th of the band: otherwise nearly all of a brown noise would be inaudible.
    bins = torch.arange(n_bins, device=waveform.device).clamp(min=max(1, n_bins // 500))
    shape = (bins / n_bins) ** (-colour.unsqueeze(1) / 2)
    noise = torch.fft.irfft(spectrum * shape, n=n_samples)
    factor = _rms(waveform) / _rms(noise).clamp(min=MIN_RMS)
    noisy: Tensor = waveform + noise * factor * 10 ** (-snr_db.unsqueeze(1) / 20)
    return noisy


def reverberate(
    waveform: Tensor,
    *,
    t60_seconds: Tensor,
    direct_db: Tensor,
    sample_rate: int,
    max_seconds: float,
    generator: torch.Generator,
) -> Tensor:
    """Play each clip in a room whose reverberation is decaying noise; levels stay.

    Args:
        waveform: Batch of clips.
        t60_seconds: Time in which the reverberation falls by 60 dB.
        direct_db: Level of the direct sound relative to all reverberation, in dB.
        sample_rate: Rate of the clips, in Hz.
        max_seconds: Length of the longest reverberation.
        generator: Source of the random numbers, on the same device.

    Shape:
        waveform: (batch, time). t60_seconds, direct_db: (batch,). Returns (batch, time).

    References:
        Polack (1988), "La transmission de l'energie sonore dans les salles".
    """
    n, n_samples = waveform.shape
    n_tail = max(2, round(max_seconds * sample_rate))
    seconds = torch.arange(n_tail, device=waveform.device) / sample_rate
    tail = torch.randn(n, n_tail, generator=generator, device=waveform.device)
    tail = tail * (-math.log(1e3) * seconds / t60_seconds.unsqueeze(1)).exp()
    tail[:, : max(1, round(0.002 * sample_rate))] = 0.0  # no wall is nearer than 30 cm
    norm = tail.square().sum(dim=1, keepdim=True).sqrt().clamp(min=MIN_RMS)
    tail = tail / norm * 10 ** (-direct_db.unsqueeze(1) / 20)
    tail[:, 0] = 1.0
    size = fft.next_fast_len(n_samples + n_tail, real=True)
    product = torch.fft.rfft(waveform, n=size) * torch.fft.rfft(tail, n=size)
    return _at_level_of(torch.fft.irfft(product, n=size)[:, :n_samples], waveform)


def limit_band(waveform: Tensor, *, low_hz: Tensor, high_hz: Tensor, sample_rate: int) -> Tensor:
    """Attenuate by 24 dB per octave below a band and by 60 above it; levels stay.

    Args:
        waveform: Batch of clips.
        low_hz: Lower edge of each band, in Hz.
        high_hz: Upper edge of each band, in Hz.
        sample_rate: Rate of the clips, in Hz.

    Shape:
        waveform: (batch, time). low_hz, high_hz: (batch,). Returns (batch, time).
    """
    n_samples = waveform.shape[-1]
    spectrum = torch.fft.rfft(waveform)
    hz = torch.arange(spectrum.shape[-1], device=waveform.device) * (sample_rate / n_samples)
    octaves = hz.clamp(min=1.0).log2()
    below = (low_hz.log2().unsqueeze(1) - octaves).clamp(min=0)
    above = (octaves - high_hz.log2().unsqueeze(1)).clamp(min=0)
    gain_db = (-24 * below - 60 * above).clamp(min=-90)
    limited = torch.fft.irfft(spectrum * 10 ** (gain_db / 20), n=n_samples)
    return _at_level_of(limited, waveform)


def mask_batch(
    features: Tensor, *, dim: int, max_share: float, n_masks: int, generator: torch.Generator
) -> Tensor:
    """`soundsep.augment.mask` on the batch's device; widths up to a share of the axis.

    Args:
        features: Features of a batch.
        dim: Axis to mask, -2 or -1.
        max_share: Widest mask, as a share of the axis.
        n_masks: Masks per clip; they may overlap.
        generator: Source of the random numbers, on the same device.

    Shape:
        features: (batch, n_mels, frames). Returns the same.
    """
    n, size = len(features), features.shape[dim]
    drawn = torch.rand(2, n, n_masks, 1, generator=generator, device=features.device)
    width = (drawn[0] * (round(max_share * size) + 1)).floor()
    start = (drawn[1] * (size - width + 1)).floor()
    index = torch.arange(size, device=features.device)
    hidden = ((index >= start) & (index < start + width)).any(dim=1)
    hidden = hidden.unsqueeze(1) if dim == -1 else hidden.unsqueeze(2)
    return torch.where(hidden, features.mean(dim=(-2, -1), keepdim=True), features)


def _rms(waveform: Tensor) -> Tensor:
    return waveform.square().mean(dim=-1, keepdim=True).sqrt()


def _at_level_of(waveform: Tensor, reference: Tensor) -> Tensor:
    return waveform * (_rms(reference) / _rms(waveform).clamp(min=MIN_RMS))
