"""The power of a short-time Fourier transform, in bands."""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor, nn

from soundsep.frontends.filterbank import BandFilters

__all__ = ["BandSpectrogram"]

# Of frames at once, on a CPU, for each of its threads. They and their transform are read again from
# the cache; of fewer at once, the calls themselves take longer than what the cache saves.
MAX_SLICE_BYTES = 2**21


class _Scratch(threading.local):
    """Memory of each thread for its frames.

    Asked for and given back at every call, it would go back to the system each time, which takes
    longer than the Fourier transform.
    """

    buffer = torch.empty(0, device="cpu")

    def like(self, frames: Tensor) -> Tensor:
        """Memory for as many numbers of the same type and shape; it is overwritten by the next.

        It is asked for in inference mode alone.
        """
        n = math.prod(frames.shape)
        if self.buffer.numel() < n or self.buffer.dtype != frames.dtype:
            self.buffer = torch.empty(n, dtype=frames.dtype, device="cpu")
        return self.buffer[:n].view(frames.shape)


_scratch = _Scratch()


class BandSpectrogram(nn.Module):
    """Power of every band in every frame, in half the time that torchaudio takes or less.

    torchaudio takes the root of each squared magnitude and squares it again, and writes all
    frequencies of all frames to memory. Here a slice of frames goes from the waveform to its bands
    at a time. Real and imaginary parts are squared where they lie, side by side, and added up by
    the filters.

    Args:
        window: Window of each frame, (win_length,), at most ``n_fft``; it lies in the middle.
        filters: Weight of every frequency bin in every band, (n_fft // 2 + 1, n_bands).
        n_fft: Length of the transform, in samples.
        hop_length: Step between frames, in samples.
        power: 2 for squared magnitudes, 1 for magnitudes.
        pad_mode: Extension of both ends by half a frame, as in `torch.stft`.

    Shape:
        waveform: (batch, time). Returns (batch, n_bands, frames).
    """

    def __init__(
        self,
        window: Tensor,
        filters: Tensor,
        *,
        n_fft: int,
        hop_length: int,
        power: float = 2.0,
        pad_mode: str = "reflect",
    ) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.power, self.pad_mode = power, pad_mode
        before = (n_fft - len(window)) // 2
        frame = nn.functional.pad(window, (before, n_fft - len(window) - before))
        # Real and imaginary part of each bin lie side by side.
        self.bands = BandFilters(filters.repeat_interleave(2, dim=0) if power == 2.0 else filters)
        # Settings rebuild them, so a checkpoint need not carry them.
        self.register_buffer("window", frame, persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.window: Tensor  # (n_fft,)
        self.filters: Tensor

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the power, or the magnitudes, in bands."""
        needs_gradient = waveform.requires_grad and torch.is_grad_enabled()
        if waveform.is_cpu and not needs_gradient and not _is_traced():
            n_frames = 1 + (waveform.shape[1] - self.n_fft % 2) // self.hop_length
            found = self.window.new_empty(waveform.shape[0], n_frames, self.filters.shape[1])
            # What a gradient would need is not looked after at every step.
            with torch.inference_mode():
                self._write_slices(waveform, found)
            return found.transpose(1, 2)
        half = self.n_fft // 2
        padded = nn.functional.pad(waveform, (half, half), mode=self.pad_mode)
        bands: Tensor = self.bands(self._power(self._frames(padded) * self.window))
        return bands.transpose(1, 2)

    def _write_slices(self, waveform: Tensor, bands: Tensor) -> None:
        """Bands of several clips at once, or of a part of one, into memory that is there.

        Shape:
            waveform: (batch, time). bands: (batch, frames, n_bands).
        """
        batch, n_frames, _ = bands.shape
        most = max(1, MAX_SLICE_BYTES * torch.get_num_threads() // self.window.nbytes)
        if batch * n_frames <= most:
            self._write(self._frames(self._extended(waveform)), bands)
            return
        n_clips = max(1, most // n_frames)
        n_columns = -(-n_frames // -(-n_frames // most))  # all slices of about the same length
        for first in range(0, batch, n_clips):
            clips = slice(first, first + n_clips)
            frames = self._frames(self._extended(waveform[clips]))
            for column in range(0, n_frames, n_columns):
                columns = slice(column, column + n_columns)
                self._write(frames[:, columns], bands[clips, columns])

    def _write(self, frames: Tensor, bands: Tensor) -> None:
        """The same, of one slice of frames."""
        windowed = torch.mul(frames, self.window, out=_scratch.like(frames))
        self.bands.write(self._power(windowed).flatten(0, 1), bands.flatten(0, 1))

    def _frames(self, padded: Tensor) -> Tensor:
        """(batch, time) to (batch, frames, n_fft)."""
        return padded.unfold(-1, self.n_fft, self.hop_length)

    def _extended(self, waveform: Tensor) -> Tensor:
        """What `torch.nn.functional.pad` gives; reflected in a fraction of its time."""
        half = self.n_fft // 2
        if self.pad_mode == "reflect":
            before = waveform[:, 1 : half + 1].flip(-1)
            after = waveform[:, -half - 1 : -1].flip(-1)
        else:
            before = after = waveform.new_zeros(len(waveform), half)
        return torch.cat([before, waveform, after], dim=-1)

    def _power(self, windowed: Tensor) -> Tensor:
        """(..., frames, n_fft) to what `bands` takes: squares, two for each bin, or magnitudes."""
        spectrum: Tensor = torch.fft.rfft(windowed)
        if self.power != 2.0:
            # Unlike a root it has a gradient where there is nothing.
            return spectrum.abs()
        parts: Tensor = torch.view_as_real(spectrum).flatten(-2)
        return parts.square() if parts.requires_grad else parts.square_()


def _is_traced() -> bool:
    """Whether a graph is made, which takes any length."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
