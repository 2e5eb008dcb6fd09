"""The squared magnitudes of a short-time Fourier transform."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PowerSpectrogram"]


class PowerSpectrogram(nn.Module):
    """``torchaudio.transforms.Spectrogram`` of this power, computed in less time.

    torchaudio takes the root of each squared magnitude and squares it again, which costs more than
    the Fourier transform; and nobody waits here for its import.

    Args:
        window: Window of each frame, (win_length,).
        n_fft: Length of the transform, in samples.
        hop_length: Step between frames, in samples.
        power: 2 for squared magnitudes, 1 for magnitudes.
        pad_mode: Extension of both ends by half a frame, as in `torch.stft`.

    Shape:
        waveform: (batch, time). Returns (batch, n_fft // 2 + 1, frames).
    """

    def __init__(
        self,
        window: Tensor,
        *,
        n_fft: int,
        hop_length: int,
        power: float = 2.0,
        pad_mode: str = "reflect",
    ) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.power, self.pad_mode = power, pad_mode
        # Settings rebuild it, so a checkpoint need not carry it.
        self.register_buffer("window", window, persistent=False)
        self.window: Tensor

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the magnitudes, or their squares."""
        spectrum = torch.stft(
            waveform,
            self.n_fft,
            hop_length=self.hop_length,
            win_length=len(self.window),
            window=self.window,
            pad_mode=self.pad_mode,
            return_complex=True,
        )
        if self.power == 2.0:
            return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return spectrum.abs()  # unlike a root it has a gradient where there is nothing
