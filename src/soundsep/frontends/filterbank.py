"""Triangular mel filters, in float64."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Spans", "band_groups", "in_bands", "kaldi_filterbank", "mel_filterbank"]

BANDS_AT_ONCE = 16

# Slaney's scale: 3 mel for 200 Hz up to 1 kHz, then 27 mel for a factor of 6.4.
SLANEY_HZ_PER_MEL, SLANEY_KNEE_HZ, SLANEY_LOG_STEP = 200 / 3, 1_000.0, math.log(6.4) / 27


def mel_filterbank(
    *,
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    mel_scale: Literal["htk", "slaney"],
    norm: Literal["slaney"] | None,
) -> Tensor:
    """Weight of every frequency bin in every mel band.

    The arguments are those of `MelConfig`.

    Shape:
        Returns (n_fft // 2 + 1, n_mels).

    References:
        Slaney (1998), "Auditory toolbox", for the scale of that name and its normalisation.
    """
    frequencies = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    low, high = (_hz_to_mel(f, mel_scale) for f in (f_min, f_max))
    edges = _mel_to_hz(torch.linspace(low, high, n_mels + 2, dtype=torch.float64), mel_scale)
    below, centre, above = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - below) / (centre - below)
    falling = (above - frequencies[:, None]) / (above - centre)
    bands = torch.minimum(rising, falling).clamp(min=0)
    return bands if norm is None else bands * (2.0 / (above - below))


def kaldi_filterbank(
    *, sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float
) -> Tensor:
    """Kaldi's filters: triangles on the mel axis itself, so that in Hz their sides are curved.

    The arguments are those of `KaldiMelConfig`. The bin at half the sample rate has no weight.

    Shape:
        Returns (n_fft // 2 + 1, n_mels).

    References:
        Povey et al. (2011), "The Kaldi speech recognition toolkit", ASRU.
    """
    frequencies = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    mel = 1127 * torch.log1p(frequencies / 700)
    low, high = (1127 * math.log1p(f / 700) for f in (f_min, f_max))
    edges = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
    rising = (mel[:, None] - edges[:-2]) / (edges[1] - edges[0])
    falling = (edges[2:] - mel[:, None]) / (edges[1] - edges[0])
    bands = torch.minimum(rising, falling).clamp(min=0)
    bands[-1] = 0
    return bands


Spans = tuple[tuple[int, int], ...]


def band_groups(filters: Tensor) -> tuple[Spans, Tensor]:
    """The filters without most of their zeros, in groups of `BANDS_AT_ONCE` bands.

    Args:
        filters: Weight of every frequency bin in every band.

    Shape:
        filters: (n_bins, n_bands).

    Returns:
        First bin and number of bins of each group, where any of its bands has a weight, and the
        weights there, one group below the other, (sum of the numbers, `BANDS_AT_ONCE`).
    """
    spans, weights = [], []
    for group in torch.split(filters, BANDS_AT_ONCE, dim=1):
        used = group.any(dim=1).nonzero().flatten().tolist() or [0]
        spans.append((used[0], used[-1] + 1 - used[0]))
        missing = BANDS_AT_ONCE - group.shape[1]
        weights.append(nn.functional.pad(group[used[0] : used[-1] + 1], (0, missing)))
    return tuple(spans), torch.cat(weights)


def in_bands(rows: Tensor, weights: Tensor, spans: Spans, n_bands: int) -> Tensor:
    """The product with filters, without most of their zeros.

    A triangle has few bins. For 128 bands of 513 bins this takes half the time of the whole
    product, for 256 bands of 8193 bins an eighth.

    Args:
        rows: Power of every bin.
        weights: Weights of `band_groups`.
        spans: First bins and numbers of bins of `band_groups`.
        n_bands: Number of bands.

    Shape:
        rows: (..., n_bins). Returns (..., n_bands).
    """
    groups = torch.split(weights, [n_bins for _, n_bins in spans])
    parts = [
        rows.narrow(-1, first, n_bins) @ group
        for (first, n_bins), group in zip(spans, groups, strict=True)
    ]
    return torch.cat(parts, dim=-1)[..., :n_bands]


def _hz_to_mel(hz: float, scale: str) -> float:
    if scale == "htk":
        return 2595 * math.log10(1 + hz / 700)
    if hz < SLANEY_KNEE_HZ:
        return hz / SLANEY_HZ_PER_MEL
    return SLANEY_KNEE_HZ / SLANEY_HZ_PER_MEL + math.log(hz / SLANEY_KNEE_HZ) / SLANEY_LOG_STEP


def _mel_to_hz(mel: Tensor, scale: str) -> Tensor:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    above_knee = (mel - SLANEY_KNEE_HZ / SLANEY_HZ_PER_MEL) * SLANEY_LOG_STEP
    return torch.where(
        above_knee < 0, mel * SLANEY_HZ_PER_MEL, SLANEY_KNEE_HZ * torch.exp(above_knee)
    )
