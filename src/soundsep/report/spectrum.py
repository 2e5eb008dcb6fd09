"""The spectrogram of a recording of any length, in a limited number of columns."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.frontends import MelConfig
from soundsep.frontends.filterbank import mel_filterbank
from soundsep.plots.bands import mel_config
from soundsep.plots.spectrogram import window_samples

__all__ = ["N_BANDS", "Spectrum", "mel_settings"]

N_BANDS = 96
FRAMES_AT_ONCE = 1_024
MIN_FFT = 1_024
AMIN = 1e-12


def mel_settings(rate: int) -> MelConfig:
    """The bands, up to half of the rate."""
    return mel_config(rate).replace(n_mels=N_BANDS)


class Spectrum:
    """Mel levels of a recording that comes in blocks; each column is the loudest of its frames.

    When more columns are needed than there are, pairs of them are joined, so that the length need
    not be known.

    Args:
        rate: Rate of the recording, in Hz.
        max_columns: Largest number of columns, even.
        duration_seconds: Length of the recording if known, so that columns never have to be joined.
    """

    def __init__(
        self, rate: int, *, max_columns: int, duration_seconds: float | None = None
    ) -> None:
        self._rate = rate
        self._window = max(64, window_samples(rate))
        self._hop = self._window // 2
        # Padded: at the lower end of the scale the bands are narrower than the window's bins.
        self._n_fft = max(2 * self._window, MIN_FFT)
        self._hann = torch.hann_window(self._window, dtype=torch.float32, device="cpu")
        bands = mel_settings(rate)
        with torch.device("cpu"):
            self._filters = mel_filterbank(
                sample_rate=rate,
                n_fft=self._n_fft,
                n_mels=bands.n_mels,
                f_min=bands.f_min,
                f_max=bands.f_max,
                mel_scale=bands.mel_scale,
                norm="slaney",
            ).float()
        self._group = 1
        if duration_seconds is not None:
            n_frames = duration_seconds * rate / self._hop
            self._group = max(1, math.ceil(n_frames / max_columns))
        self._columns = self._hann.new_empty(max_columns, N_BANDS)
        self._n_columns = 0
        # Frame k lies around the middle of column k, so a quarter of a window of silence is first.
        self._n_before = self._hop // 2
        self._samples = self._hann.new_zeros(self._n_before)
        self._frames = self._hann.new_empty(0, N_BANDS)

    @property
    def column_seconds(self) -> float:
        """Length of a column, in seconds of the recording."""
        return self._group * self._hop / self._rate

    def push(self, block: Tensor) -> None:
        """Add the next samples, (time,)."""
        self._samples = torch.cat((self._samples, block))
        most = FRAMES_AT_ONCE * self._hop
        while (n := min(len(self._samples) - self._window, most)) >= 0:
            n_frames = n // self._hop + 1
            piece = self._samples[: (n_frames - 1) * self._hop + self._window]
            self._samples = self._samples[n_frames * self._hop :]
            self._add(self._levels(piece))

    def _levels(self, samples: Tensor) -> Tensor:
        frames = samples.unfold(0, self._window, self._hop) * self._hann
        power = torch.view_as_real(torch.fft.rfft(frames, self._n_fft)).square().sum(-1)
        return power @ self._filters

    def _add(self, frames: Tensor) -> None:
        self._frames = torch.cat((self._frames, frames))
        while len(self._frames) >= self._group:
            self._make_room()
            n = min(len(self._frames) // self._group, len(self._columns) - self._n_columns)
            full, self._frames = self._frames[: n * self._group], self._frames[n * self._group :]
            columns = full.reshape(n, self._group, N_BANDS).amax(1)
            self._columns[self._n_columns : self._n_columns + n] = columns
            self._n_columns += n

    def _make_room(self) -> None:
        """Join pairs of columns if all are used and another one is needed."""
        if self._n_columns == len(self._columns):
            self._n_columns //= 2
            pairs = self._columns.reshape(-1, 2, N_BANDS).amax(1)
            self._columns[: self._n_columns] = pairs
            self._group *= 2

    def decibels(self) -> NDArray[np.float32]:
        """All columns, (bands, columns), the lowest band first; at least one.

        The recording ends here: nothing can be pushed afterwards.
        """
        # The end of the recording, which a frame or two lie around.
        if (n := math.ceil((len(self._samples) - self._n_before) / self._hop)) > 0:
            n_padded = (n - 1) * self._hop + self._window - len(self._samples)
            self._add(self._levels(torch.nn.functional.pad(self._samples, (0, n_padded))))
            self._samples = self._samples[:0]
        last = self._frames  # fewer than a column's
        if len(last):
            self._make_room()
            last = last.amax(0, keepdim=True)
        columns = torch.cat((self._columns[: self._n_columns], last))
        if not len(columns):
            columns = columns.new_zeros(1, N_BANDS)
        levels: NDArray[np.float32] = (10 * columns.clamp(min=AMIN).log10()).T.numpy()
        return levels
