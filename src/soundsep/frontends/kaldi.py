"""Natural-log mel spectrogram with Kaldi's filters: the features of the AudioSet models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from soundsep.config import Config, check_range
from soundsep.errors import ConfigError
from soundsep.frontends.checks import check_sizes, check_table, check_waveform, own_config
from soundsep.frontends.filterbank import kaldi_filterbank
from soundsep.frontends.spectrogram import BandSpectrogram

__all__ = ["KaldiMelConfig", "KaldiMelFrontend"]

MAX_F_MAX_RATIO = 1.0  # of the sample rate; half of it is what a waveform can hold
LEVEL_SECONDS = 0.1  # a click is shorter, a bark is not
MAX_GAIN_DB = 80.0  # brings the dither of 16 bits to the level of a room


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
        f_max: Upper edge of the highest band, in Hz, at most `MAX_F_MAX_RATIO` times
            ``sample_rate``. Bands above half of ``sample_rate`` stay at the floor, so that a
            network keeps the bands of the higher rate that it was trained at.
        preemphasis: Share of the previous sample subtracted from each sample, 0 to 1.
        offset: Added to the power before the logarithm, above 0.
        shift: Added to the logarithm.
        scale: Divisor of the shifted logarithm, above 0.
        level_db: Target level of the loudest `LEVEL_SECONDS` of each waveform, as mel power in dB,
            -100 to 100, reached by a gain of at most `MAX_GAIN_DB`; a shorter waveform counts as
            followed by silence. ``None`` keeps the level.
        min_level_db: As ``level_db``, but louder waveforms keep their level; only one of the two
            may be set.
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
    level_db: float | None = None
    min_level_db: float | None = None

    def _check(self) -> None:
        """Reject settings that no waveform could satisfy.

        Raises:
            ConfigError: a size or frequency is out of range.
        """
        check_sizes(self, "sample_rate", "n_fft", "win_length", "hop_length", "n_mels")
        check_table(self, "half of n_fft times n_mels", (self.n_fft // 2 + 1) * self.n_mels)
        if not 2 <= self.win_length <= self.n_fft:
            raise ConfigError(
                "KaldiMelConfig needs 2 <= win_length <= n_fft, got "
                f"win_length {self.win_length}, n_fft {self.n_fft}"
            )
        check_range(self, "f_min", "f_max")
        highest = self.sample_rate * MAX_F_MAX_RATIO
        if not 0 <= self.f_min < self.f_max <= highest or self.f_min >= self.sample_rate / 2:
            raise ConfigError(
                f"KaldiMelConfig needs 0 <= f_min < f_max <= {highest:g} and f_min below half of "
                f"sample_rate, got f_min {self.f_min}, f_max {self.f_max}, sample_rate "
                f"{self.sample_rate}"
            )
        check_range(self, "offset", "scale", above=0)
        check_range(self, "shift")
        check_range(self, "preemphasis", least=0, most=1)
        check_range(self, "level_db", "min_level_db", least=-100, most=100)
        if self.level_db is not None and self.min_level_db is not None:
            raise ConfigError("KaldiMelConfig takes level_db or min_level_db, not both")


class KaldiMelFrontend(nn.Module):
    """``(ln(mel power + offset) + shift) / scale`` of the pre-emphasised waveform.

    A clip's features never depend on the other clips of the batch and, with ``level_db``, not on
    the clip's own level.

    Args:
        config: Settings.

    Shape:
        waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_mels, frames)
        with ``frames = 1 + (time - 1) // hop_length``, or ``1 + (time - 2) // hop_length`` if
        ``n_fft`` is odd.

    Raises:
        ConfigError: the settings are those of another frontend.

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
        self.config = config = own_config(config, KaldiMelConfig)
        filters = kaldi_filterbank(
            sample_rate=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            f_min=config.f_min,
            f_max=config.f_max,
        )
        window = torch.hann_window(config.win_length, periodic=False, dtype=torch.float64)
        self.spectrogram = BandSpectrogram(
            window.float(), filters.float(), n_fft=config.n_fft, hop_length=config.hop_length
        )

    @property
    def filters(self) -> Tensor:
        """Weight of every frequency bin in every band, (n_fft // 2 + 1, n_mels)."""
        return self.spectrogram.filters

    @property
    def sample_rate(self) -> int:
        """Rate of the waveforms, in Hz; nothing is resampled here."""
        return self.config.sample_rate

    @property
    def min_samples(self) -> int:
        """Shortest waveform that has features, in samples."""
        return self.config.n_fft // 2 + 2

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features.

        Raises:
            ShapeError: not (batch, time), no clip, not floating point, of another type than the
                frontend, of half precision on a CPU, or shorter than `min_samples`.
        """
        check_waveform(
            waveform, frontend="KaldiMelFrontend", min_samples=self.min_samples, table=self.filters
        )
        config = self.config
        emphasised = torch.sub(waveform[:, 1:], waveform[:, :-1], alpha=config.preemphasis)
        mel = self.spectrogram(emphasised)
        if config.level_db is not None:
            mel = mel * self._gain(mel, config.level_db)
        elif config.min_level_db is not None:
            mel = mel * self._gain(mel, config.min_level_db).clamp(min=1)
        # In place only where no gradient needs what was there.
        log = (mel + config.offset).log() if mel.requires_grad else mel.add_(config.offset).log_()
        scaled: Tensor = log.add_(config.shift).div_(config.scale)
        return scaled

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, waveform: Tensor) -> Tensor:
            """As `forward`."""
            ...

    def _gain(self, mel: Tensor, level_db: float) -> Tensor:
        """Power gain that brings the loudest part of each clip to the level, (batch, 1, 1)."""
        config = self.config
        n_frames = round(LEVEL_SECONDS * config.sample_rate / config.hop_length)
        n_frames = max(1, n_frames)
        # Means that reach into the silence are of no interest unless there are no others. The width
        # does not depend on the length, so that the graph can be exported for any.
        power = nn.functional.pad(mel.sum(dim=1, keepdim=True), (0, n_frames - 1))
        power = nn.functional.avg_pool1d(power, n_frames, stride=1)
        loudest = power.amax(dim=-1, keepdim=True)
        wanted = 10 ** (level_db / 10)
        gain: Tensor = wanted / loudest.clamp(min=wanted / 10 ** (MAX_GAIN_DB / 10))
        return gain

    def extra_repr(self) -> str:
        """Show the settings in the module's printed form."""
        return repr(self.config)
