"""From a recording to the columns of a picture, in bounded memory for long ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio import AudioInput, resample
from soundsep.audio.load import read_audio
from soundsep.audio.windows import pad_to
from soundsep.config import check_number
from soundsep.errors import ConfigError

__all__ = [
    "AMIN",
    "MAX_COLUMNS",
    "Columns",
    "Excerpt",
    "columns",
    "envelope",
    "load_excerpt",
    "stft_power",
    "window_samples",
]

MAX_COLUMNS = 2_000  # a picture has fewer pixels
FRAMES_AT_ONCE = 1_024
CONTEXT_SECONDS = 0.5  # added before and after each piece; the slowest filters ring that long
WINDOW_SECONDS = 0.04
AMIN = 1e-30  # 300 dB below 1: anything but digital silence is above it


@dataclass(frozen=True, kw_only=True, slots=True)
class Excerpt:
    """Part of a recording.

    Attributes:
        waveform: Samples, (time,).
        rate: Rate of the samples, in Hz.
        start_seconds: Start of the part in the recording.
    """

    waveform: Tensor = field(repr=False)
    rate: int
    start_seconds: float

    @property
    def end_seconds(self) -> float:
        """End of the part in the recording."""
        return self.start_seconds + len(self.waveform) / self.rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Levels of a picture.

    Attributes:
        values: Level of each band and column, (bands, columns).
        first_edge_seconds: Left edge of the first column, in seconds of the recording.
        last_edge_seconds: Right edge of the last column, likewise.
    """

    values: NDArray[np.float32] = field(repr=False)
    first_edge_seconds: float
    last_edge_seconds: float


def load_excerpt(
    audio: AudioInput,
    *,
    sample_rate: int | None,
    start_seconds: float,
    duration_seconds: float | None,
    target_rate: int | None = None,
) -> Excerpt:
    """Load part of a recording, or all of it, as one channel.

    Args:
        audio: Anything `soundsep.load_audio` takes.
        sample_rate: Rate of an array, in Hz.
        start_seconds: Start of the part.
        duration_seconds: Length of the part; ``None`` for the rest of the recording.
        target_rate: Rate to resample to, in Hz; by default the recording's own.

    Raises:
        AudioError: the recording cannot be read.
        ConfigError: the part lies outside the recording, or an option is out of range.
    """
    check_number("start_seconds", start_seconds, least=0)
    if duration_seconds is not None:
        check_number("duration_seconds", duration_seconds, above=0)
    waveform, rate = read_audio(audio, sample_rate=sample_rate, mono=True, channel=None)
    seconds = len(waveform) / rate
    if start_seconds >= seconds:
        raise ConfigError(
            f"the recording is {seconds:.3f} s long, so it cannot be shown from {start_seconds} s"
        )
    first = int(start_seconds * rate)
    if duration_seconds is not None and duration_seconds < seconds:
        waveform = waveform[first : first + max(1, round(duration_seconds * rate))]
    else:
        waveform = waveform[first:]
    if target_rate is not None:
        waveform, rate = resample(waveform, rate, target_rate), target_rate
    return Excerpt(waveform=waveform, rate=rate, start_seconds=start_seconds)


def envelope(waveform: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest sample of each of at most `MAX_COLUMNS` spans of equal length.

    Shape:
        waveform: (time,). Returns two of (columns,).
    """
    size = math.ceil(len(waveform) / MAX_COLUMNS)
    padding = waveform[-1:].expand(-len(waveform) % size)
    spans = torch.cat((waveform, padding)).reshape(-1, size)
    return spans.amin(dim=1), spans.amax(dim=1)


def window_samples(rate: int) -> int:
    """The power of two nearest to `WINDOW_SECONDS`, in samples.

    Args:
        rate: Rate of the recording, in Hz.
    """
    return int(2 ** round(math.log2(WINDOW_SECONDS * rate)))


def stft_power(waveform: Tensor, *, window: int) -> Tensor:
    """Power of the short-time Fourier transform, in steps of a quarter of the Hann window.

    Args:
        waveform: Batch of waveforms.
        window: Length of the Hann window, in samples.

    Shape:
        waveform: (batch, time). Returns (batch, window // 2 + 1, frames).
    """
    hann = torch.hann_window(window, dtype=waveform.dtype, device=waveform.device)
    spectrum = torch.stft(
        waveform, window, window // 4, window=hann, pad_mode="constant", return_complex=True
    )
    return torch.view_as_real(spectrum).square().sum(dim=-1)


@torch.inference_mode()
def columns(
    features: Callable[[Tensor], Tensor],
    excerpt: Excerpt,
    *,
    hop: int,
    min_samples: int,
) -> Columns:
    """Levels of an excerpt in at most `MAX_COLUMNS` columns, computed piece by piece.

    If there are more frames, a column holds the loudest of several frames in each band, so that a
    short sound does not vanish from the picture of a long recording.

    Args:
        features: (1, time) to (1, bands, frames), frame ``k`` around sample ``k * hop`` as long as
            there is such a sample.
        excerpt: Part of a recording; one shorter than ``min_samples`` is extended with silence.
        hop: Step between frames, in samples.
        min_samples: Fewest samples that ``features`` takes.
    """
    n_frames = 1 + round(len(excerpt.waveform) / hop)  # the last column reaches the end
    # A sample more: a window of odd length around the last one would lack it.
    least = max(min_samples, (n_frames - 1) * hop + 1)
    waveform = pad_to(excerpt.waveform, least, padding="zero")
    group = math.ceil(n_frames / MAX_COLUMNS)
    step = group * max(1, FRAMES_AT_ONCE // group)
    context = math.ceil(max(CONTEXT_SECONDS * excerpt.rate, min_samples) / hop)
    n_columns = math.ceil(n_frames / group)
    levels: Tensor | None = None
    for first in range(0, n_frames, step):
        before = min(first, context)
        piece = waveform[(first - before) * hop : (first + step + context) * hop]
        frames = features(piece.unsqueeze(0))[0, :, before:]
        frames = frames[:, : min(step, n_frames - first)]
        if levels is None:  # one block of memory: a list of columns would leave gaps behind
            levels = frames.new_empty(frames.shape[0], n_columns)
        for i, part in enumerate(torch.split(frames, group, dim=-1), start=first // group):
            levels[:, i] = part.amax(dim=-1)
    assert levels is not None
    first_edge = excerpt.start_seconds - hop / 2 / excerpt.rate
    return Columns(
        values=levels.numpy(),
        first_edge_seconds=first_edge,
        last_edge_seconds=first_edge + n_columns * group * hop / excerpt.rate,
    )
