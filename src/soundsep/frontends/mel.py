"""Mel spectrogram in decibels: the features of most sound classifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn

from soundsep.config import Config, check_choice, check_range
from soundsep.errors import ConfigError
from soundsep.frontends.checks import (
    check_decibels,
    check_sizes,
    check_table,
    check_waveform,
    preset,
)
from soundsep.frontends.filterbank import mel_filterbank
from soundsep.frontends.scaling import Scaling, limit_range, power_to_db, scale
from soundsep.frontends.spectrogram import BandSpectrogram

__all__ = ["MEL_PRESETS", "MelConfig", "MelFrontend"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MelConfig(Config):
    """Settings of `MelFrontend`. The default is the library's own for 16 kHz models.

    Attributes:
        sample_rate: Rate of the waveform, in Hz.
        n_fft: FFT size, in samples.
        win_length: Hann window, in samples, at most ``n_fft``; zero-padded to it.
        hop_length: Step between frames, in samples.
        n_mels: Number of mel bands.
        f_min: Lower edge of the lowest band, in Hz.
        f_max: Upper edge of the highest band, in Hz, at most half of ``sample_rate``.
        power: Exponent of the magnitude: 1 for amplitude, 2 for power.
        mel_scale: Formula of the mel scale.
        norm: ``"slaney"`` gives every band the same area, ``None`` the same height.
        pad_mode: Extension of the waveform for the first and last frame, as in `torch.stft`.
        top_db: Values further below the clip's own maximum are raised to it, in dB.
        amin: Smallest power (or amplitude, where ``power`` is 1) before the logarithm.
        scaling: ``"none"`` leaves dB, ``"standardize"`` gives every clip mean 0 and standard
            deviation 1, ``"image"`` maps every clip to integers from 0 to 255.
    """

    kind: ClassVar[str] = "mel"

    sample_rate: int = 16_000
    n_fft: int = 1024
    win_length: int = 1024
    hop_length: int = 320
    n_mels: int = 64
    f_min: float = 50.0
    f_max: float = 8_000.0
    power: float = 2.0
    mel_scale: Literal["htk", "slaney"] = "htk"
    norm: Literal["slaney"] | None = None
    pad_mode: Literal["reflect", "constant"] = "constant"
    top_db: float | None = 80.0
    amin: float = 1e-10
    scaling: Scaling = "standardize"

    def _check(self) -> None:
        """Reject settings that no waveform could satisfy.

        Raises:
            ConfigError: a size, frequency or name is out of range.
        """
        check_sizes(self, "sample_rate", "n_fft", "win_length", "hop_length", "n_mels")
        check_table(self, "half of n_fft times n_mels", (self.n_fft // 2 + 1) * self.n_mels)
        name = type(self).__name__
        if self.win_length > self.n_fft:
            raise ConfigError(
                f"{name}.win_length ({self.win_length}) must not exceed n_fft ({self.n_fft})"
            )
        check_range(self, "f_min", "f_max", "power")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ConfigError(
                f"{name} needs 0 <= f_min < f_max <= sample_rate / 2, got "
                f"f_min {self.f_min}, f_max {self.f_max}, sample_rate {self.sample_rate}"
            )
        check_choice(f"{name}.power", self.power, (1.0, 2.0))
        check_decibels(self)


MEL_PRESETS: dict[str, MelConfig] = {
    # Ours: 20 ms steps; what the 16 kHz models of this library hear.
    "16k": MelConfig(),
    # ESC-50 student projects at full rate: 90 ms windows, 7 ms steps, fine frequency bins.
    "44k-fine": MelConfig(
        sample_rate=44_100,
        n_fft=16_384,
        win_length=3_969,
        hop_length=308,
        n_mels=256,
        f_min=20.0,
        f_max=17_000.0,
        top_db=80.0,
        scaling="none",
    ),
    # Projects that treat the spectrogram as an 8-bit picture.
    "44k-image": MelConfig(
        sample_rate=44_100,
        n_fft=2_048,
        win_length=2_048,
        hop_length=512,
        n_mels=128,
        f_min=20.0,
        f_max=8_300.0,
        top_db=80.0,
        scaling="image",
    ),
}


class MelFrontend(nn.Module):
    """Mel spectrogram in dB, each clip on its own.

    A clip's features never depend on the other clips of the batch: the floor ``top_db`` and the
    scaling are taken from the clip itself. The decibels are librosa's to 1e-3 dB within 70 dB of
    the clip's maximum; further below, the rounding of a float32 Fourier transform is larger than
    that (up to 2e-3 dB at 80 dB, 2e-2 dB at 100 dB), which ``.to(torch.float64)`` avoids.

    Args:
        config: Settings, or the name of one of `MEL_PRESETS`.

    Shape:
        waveform: (batch, time), mono, at `sample_rate`. Returns (batch, n_mels, frames)
        with ``frames = 1 + time // hop_length``, or ``1 + (time - 1) // hop_length`` if ``n_fft``
        is odd. The middle of frame ``k`` is sample ``k * hop_length``.

    Raises:
        ConfigError: no preset has that name.

    Examples:
        >>> import torch
        >>> MelFrontend("16k")(torch.zeros(2, 16_000)).shape
        torch.Size([2, 64, 51])
    """

    def __init__(self, config: MelConfig | str = "16k") -> None:
        super().__init__()
        self.config = config = preset(config, MEL_PRESETS, "mel")
        # Both tables are computed in float64 and rounded once: torchaudio's own, in float32
        # throughout, are up to 1e-3 dB off.
        filters = mel_filterbank(
            sample_rate=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            f_min=config.f_min,
            f_max=config.f_max,
            mel_scale=config.mel_scale,
            norm=config.norm,
        )
        self.spectrogram = BandSpectrogram(
            torch.hann_window(config.win_length, dtype=torch.float64).float(),
            filters.float(),
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            power=config.power,
            pad_mode=config.pad_mode,
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
        return self.config.n_fft // 2 + 1 if self.config.pad_mode == "reflect" else 1

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features.

        Raises:
            ShapeError: not (batch, time), no clip, not floating point, of another type than the
                frontend, of half precision on a CPU, or shorter than `min_samples`.
        """
        check_waveform(
            waveform, frontend="MelFrontend", min_samples=self.min_samples, table=self.filters
        )
        return scale(self.decibels(waveform), self.config.scaling)

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, waveform: Tensor) -> Tensor:
            """As `forward`."""
            ...

    def decibels(self, waveform: Tensor) -> Tensor:
        """The features before the scaling, in dB; the waveform is not checked.

        Shape:
            waveform: (batch, time). Returns (batch, n_mels, frames).
        """
        mel = self.spectrogram(waveform)
        config = self.config
        db = power_to_db(mel, multiplier=20.0 / config.power, amin=config.amin)
        return limit_range(db, config.top_db)

    def extra_repr(self) -> str:
        """Show the settings in the module's printed form."""
        return repr(self.config)
