"""Natural-log mel spectrogram with Kaldi's filters: the features of the AudioSet models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from soundsep.config import Config
from soundsep.errors import ConfigError
from soundsep.frontends.checks import check_sizes, check_table, check_waveform
from soundsep.frontends.filterbank import kaldi_filterbank
from soundsep.frontends.spectrogram import PowerSpectrogram

__all__ = ["KaldiMelConfig", "KaldiMelFrontend"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KaldiMelConfig(Config):
    """Settings of `KaldiMelFrontend`. The default is what EfficientAT's networks were trained on.

    Attributes:
        sample_rate: Rate of the waveform, in Hz.
        n_fft: FFT size, in samples.
        win_length: Symmetric Hann window, in samples, at most ``n_fft``; zero-padded to it.
        hop_length: Step between frames, in samples.
        n_mels: Number of mel bands.
        f_min: Lower edge of the lowest band, in Hz.
        f_max: Upper edge of the highest band, in Hz, at most half of ``sample_rate``.
        preemphasis: Share of the sample before that is taken off each sample.
        offset: Added to the power before the logarithm.
        shift: Added to the logarithm.
        scale: What the shifted logarithm is divided by.
    """

    kind: ClassVar[str] = "kaldi-mel"

    sample_rate: int = 32_000
    n_fft: int = 1024
    win_length: int = 800
    hop_length: int = 320
    n_mels: int = 128
    f_min: float = 0.0
    f_max: float = 15_000.0
    preemphasis: float = 0.97
    offset: float = 1e-5
    shift: float = 4.5
    scale: float = 5.0

    def __post_init__(self) -> None:
        """Reject settings that no signal could satisfy.

        Raises:
            ConfigError: a size or frequency is out of range.
        """
        check_sizes(self, "sample_rate", "n_fft", "hop_length", "n_mels")
        check_table(self, "half of n_fft times n_mels", (self.n_fft // 2 + 1) * self.n_mels)
        if not 2 <= self.win_length <= self.n_fft:
            raise ConfigError(
                "KaldiMelConfig needs 2 <= win_length <= n_fft, got "
                f"win_length {self.win_length}, n_fft {self.n_fft}"
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ConfigError(
                "KaldiMelConfig needs 0 <= f_min < f_max <= sample_rate / 2, got "
                f"f_min {self.f_min}, f_max {self.f_max}, sample_rate {self.sample_rate}"
            )
        if not (0 < self.offset < math.inf and 0 < self.scale < math.inf):
            raise ConfigError("KaldiMelConfig.offset and scale must be above 0")
        if not (math.isfinite(self.shift) and 0 <= self.preemphasis <= 1):
            raise ConfigError("KaldiMelConfig: shift must be finite, preemphasis from 0 to 1")


class KaldiMelFrontend(nn.Module):
    """``(ln(mel power + offset) + shift) / scale`` of the pre-emphasised waveform.

    Nothing in it depends on a clip's level or on the other clips of the batch.

    Args:
        config: Settings.

    Shape:
        waveform: (batch, time), mono, at ``config.sample_rate``. Returns (batch, n_mels, frames)
        with ``frames = 1 + (time - 1) // hop_length``.

    Examples:
        >>> import torch
        >>> KaldiMelFrontend()(torch.zeros(2, 32_000)).shape
        torch.Size([2, 128, 100])

    References:
        Schmid et al. (2023), "Efficient large-scale audio tagging via transformer-to-CNN knowledge
        distillation", ICASSP, section 3.
    """

    def __init__(self, config: KaldiMelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or KaldiMelConfig()
        # Settings rebuild both tables, so a checkpoint need not carry them.
        window = torch.hann_window(config.win_length, periodic=False, dtype=torch.float64)
        self.spectrogram = PowerSpectrogram(
            window.float(), n_fft=config.n_fft, hop_length=config.hop_length
        )
        filters = kaldi_filterbank(
            sample_rate=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            f_min=config.f_min,
            f_max=config.f_max,
        )
        self.register_buffer("filters", filters.T.float().contiguous(), persistent=False)
        self.filters: Tensor

    @property
    def min_samples(self) -> int:
        """Shortest waveform that has features, in samples."""
        return self.config.n_fft // 2 + 2

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features.

        Raises:
            ShapeError: not (batch, time), no clip, not floating point, float64 where the
                frontend is not, or shorter than `min_samples`.
        """
        check_waveform(
            waveform, frontend="KaldiMelFrontend", min_samples=self.min_samples, table=self.filters
        )
        config = self.config
        emphasised = waveform[:, 1:] - config.preemphasis * waveform[:, :-1]
        mel = self.filters @ self.spectrogram(emphasised)
        scaled: Tensor = ((mel + config.offset).log() + config.shift) / config.scale
        return scaled

    def extra_repr(self) -> str:
        """Show the settings in the module's printed form."""
        return repr(self.config)
