"""Read a recording once, for its spectrogram and its encoded parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio import audio_blocks
from soundsep.errors import AudioError
from soundsep.report.opus import opus_bytes
from soundsep.report.spans import Span
from soundsep.report.spectrum import Spectrum

__all__ = ["Scan", "scan"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """Spectrogram and encoded parts of a recording.

    Attributes:
        rate: Rate of the recording, in Hz.
        duration_seconds: Length of the recording, as far as it can be read.
        levels: Spectrogram in dB, (bands, columns).
        column_seconds: Length of a column.
        clips: Parts before the end or the damage, as Ogg Opus.
        fault: Reason why the recording was not read to its end, if it was not.
    """

    rate: int
    duration_seconds: float
    levels: NDArray[np.float32]
    column_seconds: float
    clips: list[tuple[Span, bytes]]
    fault: str | None


@torch.inference_mode()
def scan(path: str, spans: Sequence[Span], *, max_columns: int, channel: int | None = None) -> Scan:
    """Read a recording from its beginning to its end, or to its damage.

    Args:
        path: Path of the recording.
        spans: Parts to encode, by their start.
        max_columns: Largest number of columns of the spectrogram.
        channel: Read only this channel, counted from 0.

    Raises:
        AudioError: nothing of the recording can be read.
    """
    clips: list[tuple[Span, bytes]] = []
    waiting: list[tuple[Span, list[Tensor]]] = [(span, []) for span in spans]
    n_samples, fault = 0, None
    with audio_blocks(path, channel=channel) as blocks:
        rate = blocks.sample_rate
        spectrum = Spectrum(rate, max_columns=max_columns, duration_seconds=blocks.duration_seconds)
        try:
            for block in blocks:
                spectrum.push(block)
                n_before, n_samples = n_samples, n_samples + len(block)
                for span, parts in waiting:
                    first, end = (round(seconds * rate) for seconds in span)
                    if first >= n_samples:
                        break  # the following ones begin later still
                    parts.append(block[max(0, first - n_before) : max(0, end - n_before)])
                while waiting and round(waiting[0][0].end_seconds * rate) <= n_samples:
                    clips.append(_encoded(*waiting.pop(0), rate))
        except AudioError as error:
            if not n_samples:
                raise
            fault = str(error)
    clips += [_encoded(span, parts, rate) for span, parts in waiting if any(map(len, parts))]
    return Scan(
        rate=rate,
        duration_seconds=n_samples / rate,
        levels=spectrum.decibels(),
        column_seconds=spectrum.column_seconds,
        clips=clips,
        fault=fault,
    )


def _encoded(span: Span, parts: list[Tensor], rate: int) -> tuple[Span, bytes]:
    """An encoded part, which ends with the recording."""
    waveform = torch.cat(parts)
    end = min(span.end_seconds, span.start_seconds + len(waveform) / rate)
    return Span(span.start_seconds, end), opus_bytes(waveform, rate)
