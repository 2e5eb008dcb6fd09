"""Energies of a gammatone filter bank in decibels: a model of the ear's frequency analysis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from soundsep.config import Config, check_range
from soundsep.errors import ConfigError
from soundsep.frontends.checks import (
    check_decibels,
    check_sizes,
    check_table,
    check_waveform,
    own_config,
)
from soundsep.frontends.scaling import Scaling, limit_range, power_to_db, scale

__all__ = ["GammatoneConfig", "GammatoneFrontend", "erb_centres", "gammatone_taps"]

# Glasberg and Moore's bandwidth of the ear's filters, in Hz: 24.7 at 0 Hz, a ninth of f more at f.
MIN_BANDWIDTH_HZ, QUALITY = 24.7, 1000 / (24.7 * 4.37)
# That bandwidth is of a rectangle; a gammatone with as much area decays at this times as much.
BANDWIDTH_FACTOR = 1.019
# After this many time constants t**3 exp(-t) is 4e-7, -128 dB, of its maximum.
N_TIME_CONSTANTS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class GammatoneConfig(Config):
    """Settings of `GammatoneFrontend`.

    Attributes:
        sample_rate: Rate of the waveform, in Hz.
        n_bands: Number of filters.
        f_min: Centre of the lowest filter, in Hz, above 0.
        f_max: Centre of the highest filter, in Hz, below half of ``sample_rate``.
        win_length: Length over which the squared output of a filter is averaged, in samples.
        hop_length: Step between frames, in samples.
        top_db: Values further below the clip's own maximum are raised to it, in dB.
        amin: Smallest mean square before the logarithm.
        scaling: As in `MelConfig`.
    """

    kind: ClassVar[str] = "gammatone"

    sample_rate: int = 16_000
    n_bands: int = 64
    f_min: float = 50.0
    f_max: float = 7_500.0
    win_length: int = 640
    hop_length: int = 320
    top_db: float | None = 80.0
    amin: float = 1e-12
    scaling: Scaling = "standardize"

    def _check(self) -> None:
        """Reject settings that no waveform could satisfy.

        Raises:
            ConfigError: a size, frequency or name is out of range.
        """
        check_sizes(self, "sample_rate", "n_bands", "win_length", "hop_length")
        check_range(self, "f_min", "f_max")
        if not 0 < self.f_min < self.f_max < self.sample_rate / 2:
            raise ConfigError(
                "GammatoneConfig needs 0 < f_min < f_max < sample_rate / 2, got "
                f"f_min {self.f_min}, f_max {self.f_max}, sample_rate {self.sample_rate}"
            )
        n_taps = _n_taps(self.sample_rate, self.f_min)
        check_table(self, "n_bands times the length of the longest filter", self.n_bands * n_taps)
        check_decibels(self)


class GammatoneFrontend(nn.Module):
    """Mean square of every band of a gammatone filter bank, in dB, each clip on its own.

    The filters are Slaney's digital ones of 4th order, with a gain of 1 at their centres, which lie
    at equal steps of the ERB-rate scale from ``f_min`` to ``f_max``, both included. Frame ``t`` is
    the plain mean of the squared output of a filter over ``win_length`` samples, of which
    ``win_length // 2`` lie before sample ``t * hop_length``; the waveform is extended by silence,
    and the filters' delay is left as it is. A steady tone of amplitude 1 at a centre is -3 dB.

    Slaney's recursive filters are run as what they are by definition, convolutions with their
    impulse responses (`gammatone_taps`), by Fourier transforms of overlapping blocks. Nothing is
    approximated beyond a tail 128 dB down, and nothing can become unstable: in float64 the usual
    8th-order recursion does so at 50 Hz and 44.1 kHz. Gradients with respect to the waveform keep
    the output of every filter in memory, ``batch * n_bands * time`` numbers; without them one band
    at a time is held.

    Args:
        config: Settings.

    Shape:
        waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_bands, frames)
        with ``frames = 1 + time // hop_length``, the lowest band first.

    Raises:
        ConfigError: the settings are those of another frontend.

    Examples:
        >>> import torch
        >>> GammatoneFrontend()(torch.zeros(2, 16_000)).shape
        torch.Size([2, 64, 51])

    References:
        Slaney (1993), "An efficient implementation of the Patterson-Holdsworth auditory filter
        bank", Apple technical report 35.
        Glasberg and Moore (1990), "Derivation of auditory filter shapes from notched-noise data",
        Hearing Research 47, eq. 3.
    """

    def __init__(self, config: GammatoneConfig | None = None) -> None:
        super().__init__()
        self.config = config = own_config(config, GammatoneConfig)
        taps = gammatone_taps(self.centre_frequencies, config.sample_rate)
        self.register_buffer("taps", taps.float(), persistent=False)
        self.taps: Tensor

    @property
    def centre_frequencies(self) -> Tensor:
        """Centre of every band in Hz, (n_bands,), in float64."""
        return erb_centres(self.config.n_bands, self.config.f_min, self.config.f_max)

    @property
    def sample_rate(self) -> int:
        """Rate of the waveforms, in Hz; nothing is resampled here."""
        return self.config.sample_rate

    @property
    def min_samples(self) -> int:
        """Shortest waveform that has features, in samples."""
        return 1

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features.

        Raises:
            ShapeError: not (batch, time), no clip, not floating point, of another type than the
                frontend, of half precision on a CPU, or shorter than `min_samples`.
        """
        check_waveform(
            waveform, frontend="GammatoneFrontend", min_samples=self.min_samples, table=self.taps
        )
        db = power_to_db(self._energies(waveform), amin=self.config.amin)
        return scale(limit_range(db, self.config.top_db), self.config.scaling)

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, waveform: Tensor) -> Tensor:
            """As `forward`."""
            ...

    def extra_repr(self) -> str:
        """Show the settings in the module's printed form."""
        return repr(self.config)

    def _energies(self, waveform: Tensor) -> Tensor:
        """Mean square of every band in every frame, (batch, n_bands, frames)."""
        win_length, n_taps = self.config.win_length, self.taps.shape[1]
        n_samples = waveform.shape[1] + win_length
        block = fft_block(self.config)
        step = block - n_taps + 1
        # At least two: MKL rounds a transform of one row differently from one of several, and a
        # clip must have the same numbers alone and in a batch.
        n_blocks = max(2, -(-n_samples // step))
        before = win_length // 2
        after = n_blocks * step - waveform.shape[1] - before
        padded = nn.functional.pad(waveform, (n_taps - 1 + before, after))
        spectrum = torch.fft.rfft(padded.unfold(1, block, step))  # (batch, n_blocks, bins)
        energies = []
        for response in torch.fft.rfft(self.taps, block):
            # The first outputs of a block are wrapped around; the block before holds them.
            blocks = torch.fft.irfft(spectrum * response, block)[..., n_taps - 1 :]
            power = blocks.square().flatten(1)[:, :n_samples]
            energies.append(power.unfold(1, win_length, self.config.hop_length).mean(dim=-1))
        return torch.stack(energies, dim=1)


def erb_centres(n_bands: int, f_min: float, f_max: float) -> Tensor:
    """Frequencies from ``f_min`` to ``f_max``, both included, at equal steps of the ERB-rate scale.

    Shape:
        Returns (n_bands,), in Hz, in float64.

    References:
        Glasberg and Moore (1990), eq. 4.
    """
    offset = MIN_BANDWIDTH_HZ * QUALITY
    low, high = math.log(f_min + offset), math.log(f_max + offset)
    return torch.linspace(low, high, n_bands, dtype=torch.float64).exp() - offset


def gammatone_taps(centres: Tensor, sample_rate: int) -> Tensor:
    """Impulse responses of Slaney's digital gammatone filters of 4th order.

    Slaney's four sections of second order have the transfer function
    ``(1 / (1 - p/z)**4 + 1 / (1 - q/z)**4) / 2`` with the poles ``p = exp(-b + iw)`` and its
    conjugate ``q``, which is the impulse response ``(n+1)(n+2)(n+3)/6 exp(-bn) cos(wn)``.

    Args:
        centres: Centre frequencies, (n_bands,), in Hz.
        sample_rate: Rate of the waveform to filter, in Hz.

    Shape:
        Returns (n_bands, n_taps), in float64, with a gain of 1 at the centres.

    References:
        Slaney (1993), section 3 and appendix A.
    """
    decay = 2 * math.pi * BANDWIDTH_FACTOR * _bandwidth(centres) / sample_rate
    turn = 2 * math.pi * centres / sample_rate
    mirrored = torch.exp(torch.complex(-decay, -2 * turn))
    gain = ((1 - torch.exp(-decay)) ** -4 + (1 - mirrored) ** -4).abs() / 2
    n = torch.arange(_n_taps(sample_rate, float(centres.min())), dtype=torch.float64)
    envelope = (n + 1) * (n + 2) * (n + 3) / 6 * torch.exp(-decay[:, None] * n)
    return envelope * torch.cos(turn[:, None] * n) / gain[:, None]


def fft_block(config: GammatoneConfig) -> int:
    """Samples per Fourier transform: a power of two, at most an eighth of it lost to the overlap.

    That size was the fastest of those measured.
    """
    return 1 << math.ceil(math.log2(8 * _n_taps(config.sample_rate, config.f_min)))


def _bandwidth(frequency: Tensor) -> Tensor:
    return frequency / QUALITY + MIN_BANDWIDTH_HZ


def _n_taps(sample_rate: int, lowest: float) -> int:
    decay = 2 * math.pi * BANDWIDTH_FACTOR * (lowest / QUALITY + MIN_BANDWIDTH_HZ) / sample_rate
    return math.ceil(N_TIME_CONSTANTS / decay)
