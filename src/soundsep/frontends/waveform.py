"""The waveform itself, for networks that learn their own first layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from torch import Tensor, nn

from soundsep.config import Config
from soundsep.frontends.checks import check_sizes, check_waveform, own_config
from soundsep.frontends.scaling import standardize

__all__ = ["WaveformConfig", "WaveformFrontend"]

# -100 dBFS, below the last bit of 16: quieter clips are noise, and not amplified to full level.
SILENCE = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveformConfig(Config):
    """Settings of `WaveformFrontend`.

    Attributes:
        sample_rate: Rate of the waveform, in Hz.
        scaling: ``"none"`` leaves the samples, ``"peak"`` divides every clip by its largest
            magnitude, ``"standardize"`` gives every clip mean 0 and standard deviation 1.
    """

    kind: ClassVar[str] = "waveform"

    sample_rate: int = 16_000
    scaling: Literal["none", "peak", "standardize"] = "none"

    def _check(self) -> None:
        """Reject settings that no waveform could satisfy.

        Raises:
            ConfigError: the rate or the name is out of range.
        """
        check_sizes(self, "sample_rate")

    @property
    def win_length(self) -> int:
        """Length of a frame, one sample, by the name that the other configs have."""
        return 1


class WaveformFrontend(nn.Module):
    """The waveform with a channel axis, each clip scaled by itself where the config says so.

    Silence stays silence: clips whose peak or standard deviation is below 1e-5 are divided by 1e-5.

    Args:
        config: Settings.

    Shape:
        waveform: (batch, time), mono, at `sample_rate`. Returns (batch, 1, time).

    Raises:
        ConfigError: the settings are those of another frontend.

    Examples:
        >>> import torch
        >>> WaveformFrontend(WaveformConfig(scaling="peak"))(torch.tensor([[0.1, -0.2]]))
        tensor([[[ 0.5000, -1.0000]]])
    """

    def __init__(self, config: WaveformConfig | None = None) -> None:
        super().__init__()
        self.config = own_config(config, WaveformConfig)

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
            ShapeError: not (batch, time), no clip, not floating point, or shorter than
                `min_samples`.
        """
        check_waveform(waveform, frontend="WaveformFrontend", min_samples=self.min_samples)
        channel = waveform[:, None]
        if self.config.scaling == "peak":
            return channel / channel.abs().amax(dim=-1, keepdim=True).clamp(min=SILENCE)
        if self.config.scaling == "standardize":
            return standardize(channel, min_deviation=SILENCE)
        return channel

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, waveform: Tensor) -> Tensor:
            """As `forward`."""
            ...

    def extra_repr(self) -> str:
        """Show the settings in the module's printed form."""
        return repr(self.config)
