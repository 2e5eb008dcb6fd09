"""Rooms, noises and recording devices, drawn for whole batches on their device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from soundsep.config import Config, check_range, check_span
from soundsep.training.batched_augment import add_coloured_noise, limit_band, reverberate

__all__ = ["Conditions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions(Config):
    """Shares of a batch that are changed, and ranges of the changes, drawn uniformly.

    Attributes:
        reverb_share: Share of the clips with reverberation.
        t60_seconds: Range of the time in which reverberation falls by 60 dB; log-uniform.
        direct_db: Range of the level of the direct sound relative to the reverberation, in dB.
        noise_share: Share of the clips with noise.
        snr_db: Range of the power of a clip relative to its noise, in dB.
        colour: Range of the exponent by which the noise's power falls with frequency: 0 is white,
            1 pink, 2 brown.
        band_share: Share of the clips limited to a band.
        low_hz: Range of the lower edge of the band, in Hz; log-uniform.
        high_hz: Range of the upper edge of the band, in Hz; log-uniform.
        gain_share: Share of the clips that are made louder or quieter.
        gain_db: Range of that gain, in dB.
    """

    reverb_share: float = 0.25
    t60_seconds: tuple[float, float] = (0.1, 1.0)
    direct_db: tuple[float, float] = (-3.0, 15.0)
    noise_share: float = 0.25
    snr_db: tuple[float, float] = (0.0, 40.0)
    colour: tuple[float, float] = (-0.5, 2.0)
    band_share: float = 0.15
    low_hz: tuple[float, float] = (20.0, 500.0)
    high_hz: tuple[float, float] = (2_000.0, 8_000.0)
    gain_share: float = 0.5
    gain_db: tuple[float, float] = (-45.0, 10.0)

    def _check(self) -> None:
        """Check the ranges."""
        shares = ("reverb_share", "noise_share", "band_share", "gain_share")
        check_range(self, *shares, least=0, most=1)
        check_span(self, "direct_db", "snr_db", "colour", "gain_db")
        check_span(self, "t60_seconds", "low_hz", "high_hz", above=0)

    def scaled(self, factor: float) -> Conditions:
        """The same conditions for fewer clips, or more; gains stay.

        Args:
            factor: Factor on all shares but that of gains.
        """
        return self.replace(
            reverb_share=factor * self.reverb_share,
            noise_share=factor * self.noise_share,
            band_share=factor * self.band_share,
        )

    def record(self, waveform: Tensor, *, sample_rate: int, generator: torch.Generator) -> Tensor:
        """Apply rooms, noises and bands; every clip keeps its level, apart from the noise.

        The number of changed clips is the same for every batch, so that no shape depends on a
        random number and nothing waits for the device.

        Args:
            waveform: Batch of clips.
            sample_rate: Rate of the clips, in Hz.
            generator: Source of the random numbers, on the same device.

        Shape:
            waveform: (batch, time). Returns the same.
        """

        def draw(n: int, bounds: tuple[float, float], *, is_log: bool = False) -> Tensor:
            low, high = map(math.log, bounds) if is_log else bounds
            u = torch.rand(n, generator=generator, device=waveform.device)
            drawn = low + (high - low) * u
            return drawn.exp() if is_log else drawn

        x = waveform
        if n := round(self.reverb_share * len(x)):
            rows = self._rows(x, n, generator)
            t60 = draw(n, self.t60_seconds, is_log=True)
            heard = reverberate(
                x[rows],
                t60_seconds=t60,
                direct_db=draw(n, self.direct_db),
                sample_rate=sample_rate,
                max_seconds=self.t60_seconds[1],
                generator=generator,
            )
            x = x.index_copy(0, rows, heard)
        if n := round(self.noise_share * len(x)):
            rows = self._rows(x, n, generator)
            noisy = add_coloured_noise(
                x[rows],
                snr_db=draw(n, self.snr_db),
                colour=draw(n, self.colour),
                generator=generator,
            )
            x = x.index_copy(0, rows, noisy)
        if n := round(self.band_share * len(x)):
            rows = self._rows(x, n, generator)
            low, high = (draw(n, b, is_log=True) for b in (self.low_hz, self.high_hz))
            limited = limit_band(x[rows], low_hz=low, high_hz=high, sample_rate=sample_rate)
            x = x.index_copy(0, rows, limited)
        return x

    def gain(self, waveform: Tensor, *, generator: torch.Generator) -> Tensor:
        """Make a share of the clips louder or quieter.

        Args:
            waveform: Batch of clips.
            generator: Source of the random numbers, on the same device.

        Shape:
            waveform: (batch, time). Returns the same.
        """
        low, high = self.gain_db
        shape, device = (len(waveform), 1), waveform.device
        db = low + (high - low) * torch.rand(shape, generator=generator, device=device)
        is_changed = torch.rand(shape, generator=generator, device=device) < self.gain_share
        return waveform * 10 ** (db * is_changed / 20)

    @staticmethod
    def _rows(x: Tensor, n: int, generator: torch.Generator) -> Tensor:
        return torch.randperm(len(x), generator=generator, device=x.device)[:n]
