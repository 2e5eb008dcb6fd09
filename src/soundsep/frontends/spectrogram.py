"""The power of a short-time Fourier transform, in bands."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from soundsep.frontends.filterbank import band_groups, in_bands

__all__ = ["BandSpectrogram"]

# Of frames at once, on a CPU, for each of its threads: they, their transform and the memory that
# holds both next time stay in the cache. All frames of ten seconds at once take twice as long.
MAX_SLICE_BYTES = 2**20


class _Scratch(threading.local):
    """Memory of each thread for its frames.

    Asked for and given back at every call, it would go back to the system each time, which takes
    longer than the Fourier transform.
    """

    buffer = torch.empty(0)

    def like(self, frames: Tensor) -> Tensor:
        """Memory for as many numbers of the same type and shape; it is overwritten by the next."""
        n = math.prod(frames.shape)
        if self.buffer.numel() < n or self.buffer.dtype != frames.dtype:
            with torch.inference_mode(False):  # it is used outside, too
                self.buffer = torch.empty(n, dtype=frames.dtype)
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
        self._spans, weights = band_groups(
            filters.repeat_interleave(2, dim=0) if power == 2.0 else filters
        )
        # Settings rebuild them, so a checkpoint need not carry them.
        for name, table in {"window": frame, "filters": filters, "weights": weights}.items():
            self.register_buffer(name, table, persistent=False)
        self.window: Tensor  # (n_fft,)
        self.filters: Tensor
        self.weights: Tensor

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the power, or the magnitudes, in bands."""
        half = self.n_fft // 2
        padded = nn.functional.pad(waveform, (half, half), mode=self.pad_mode)
        frames = padded.unfold(-1, self.n_fft, self.hop_length)  # (batch, frames, n_fft)
        # A graph takes any length.
        is_traced = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
        if is_traced or frames.device.type != "cpu" or frames.requires_grad:
            return self._bands(frames * self.window).transpose(1, 2)
        batch, n_frames, _ = frames.shape
        most = max(1, MAX_SLICE_BYTES * torch.get_num_threads() // self.window.nbytes)
        if batch * n_frames <= most:
            return self._windowed_bands(frames).transpose(1, 2)
        found = frames.new_empty(batch, n_frames, self.filters.shape[1])
        for part in _slices(batch, n_frames, most):
            found[part] = self._windowed_bands(frames[part])
        return found.transpose(1, 2)

    def _windowed_bands(self, frames: Tensor) -> Tensor:
        """`_bands` of frames on a CPU without a gradient."""
        return self._bands(torch.mul(frames, self.window, out=_scratch.like(frames)))

    def _bands(self, windowed: Tensor) -> Tensor:
        """(..., frames, n_fft) to (..., frames, n_bands)."""
        spectrum = torch.fft.rfft(windowed)
        if self.power != 2.0:
            # Unlike a root it has a gradient where there is nothing.
            return in_bands(spectrum.abs(), self.weights, self._spans, self.filters.shape[1])
        parts = torch.view_as_real(spectrum).flatten(-2)
        squares = parts.square() if parts.requires_grad else parts.square_()
        return in_bands(squares, self.weights, self._spans, self.filters.shape[1])


def _slices(batch: int, n_frames: int, most: int) -> Iterator[tuple[slice, slice]]:
    """Clips and frames that are computed at once: several clips, or a part of one."""
    n_clips = max(1, most // n_frames)
    n_columns = -(-n_frames // -(-n_frames // most))  # all of about the same length
    for clip in range(0, batch, n_clips):
        for column in range(0, n_frames, n_columns):
            yield slice(clip, clip + n_clips), slice(column, column + n_columns)
