"""Estimate of the memory that features need, before any are computed."""

from __future__ import annotations

from soundsep.config import Config
from soundsep.frontends.gammatone import GammatoneConfig, fft_block
from soundsep.frontends.waveform import WaveformConfig

__all__ = ["frontend_cost"]

# The framed waveform, the complex spectrum, its squares: of all frames in a traced graph, on an
# accelerator and with gradients; on a CPU of fewer at once.
SPECTRUM_BYTES = 24  # per bin and frame
# One band at a time: the spectrum of all blocks, the filtered blocks, their squares.
GAMMATONE_BYTES = 240  # per sample


def frontend_cost(config: Config, n_samples: int) -> tuple[int, int]:
    """Peak memory of a frontend besides its output, and the size of that output.

    Args:
        config: Settings of any frontend.
        n_samples: Length of the waveform, in samples.

    Returns:
        Bytes for one waveform, and the count of numbers in its features.
    """
    if isinstance(config, WaveformConfig):
        return 0, n_samples
    frames = 1 + n_samples // int(getattr(config, "hop_length", 1))
    n_bands = max(int(getattr(config, name, 1)) for name in ("n_mels", "n_mfcc", "n_bands"))
    if isinstance(config, GammatoneConfig):
        n_filtered = max(n_samples + config.win_length, 2 * fft_block(config))
        return GAMMATONE_BYTES * n_filtered, n_bands * frames
    n_bins = int(getattr(config, "n_fft", 0)) // 2 + 1
    return SPECTRUM_BYTES * n_bins * frames, n_bands * frames
