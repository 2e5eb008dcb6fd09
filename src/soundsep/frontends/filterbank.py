"""Triangular mel filters, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

__all__ = ["BandFilters", "kaldi_filterbank", "mel_filterbank"]

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


class BandFilters(nn.Module):
    """The product with filters, without most of their zeros.

    A triangle has few bins. Bands are taken in groups of `BANDS_AT_ONCE`, each with the bins where
    any of its bands has a weight. For 128 bands of 513 bins this takes half the time of the whole
    product, for 256 bands of 8193 bins an eighth.

    Args:
        filters: Weight of every frequency bin in every band, (n_bins, n_bands).

    Shape:
        power: (..., n_bins). Returns (..., n_bands).
    """

    def __init__(self, filters: Tensor) -> None:
        super().__init__()
        spans = []
        for i, group in enumerate(torch.split(filters, BANDS_AT_ONCE, dim=1)):
            used = group.any(dim=1).nonzero().flatten().tolist() or [0]
            spans.append((used[0], used[-1] + 1 - used[0]))
            weights = group[used[0] : used[-1] + 1].contiguous()
            self.register_buffer(f"group{i}", weights, persistent=False)
        self.spans = tuple(spans)  # first bin and number of bins of each group

    @property
    def groups(self) -> tuple[Tensor, ...]:
        """Weights of each group, (number of bins, number of bands)."""
        return tuple(cast(Mapping[str, Tensor], self._buffers).values())

    def forward(self, power: Tensor) -> Tensor:
        """Compute the product."""
        pairs = zip(self.spans, self.groups, strict=True)
        return torch.cat([power.narrow(-1, *span) @ group for span, group in pairs], dim=-1)

    def write(self, power: Tensor, bands: Tensor) -> None:
        """Compute the product without a gradient, into memory that is there, in half the time.

        Shape:
            power: (n_rows, n_bins). bands: (n_rows, n_bands).
        """
        parts = torch.split(bands, BANDS_AT_ONCE, dim=1)
        for span, group, part in zip(self.spans, self.groups, parts, strict=True):
            torch.mm(power.narrow(1, *span), group, out=part)


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
