"""Clips prepared for mixing: where they sound, how loud, and in which bands."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

__all__ = ["FRAME_SECONDS", "Sound", "band_energies", "close_gaps", "prepare_sound"]

FRAME_SECONDS = 0.02  # the grid that sounds are placed and truth is told on
# Edges of the bands, in the best of which a sound is heard; the last one ends at half of the rate.
BANDS_HZ = (60, 250, 500, 1_000, 2_000, 4_000, 8_000)
ACTIVE_DB = 30.0  # below its loud level a sound is over
LOUD_QUANTILE = 0.95  # of the frames' energy: the level of a sound, however short it is
MAX_GAP_SECONDS = 0.5  # inside one sound: the pause between two barks
MIN_SOUND_SECONDS = 0.04  # shorter is a click of the recorder
SILENCE = 1e-10  # mean power, -100 dBFS


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A clip from where it begins to sound to where it ends.

    Attributes:
        waveform: (time,), its first sample on the grid of `FRAME_SECONDS`.
        energy: Mean power by band and frame, (n_bands, n_frames).
        is_active: Frames in which it sounds, including pauses of up to half a second, (n_frames,).
        level: Mean power of its loud frames.
    """

    waveform: NDArray[np.float32] = field(repr=False)
    energy: NDArray[np.float32] = field(repr=False)
    is_active: NDArray[np.bool_] = field(repr=False)
    level: float

    @property
    def n_bytes(self) -> int:
        """Memory of its own, without the samples that it shares with its clip."""
        arrays = (self.waveform, self.energy, self.is_active)
        return sum(array.nbytes for array in arrays if array.base is None)


def band_energies(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Mean power by band and frame, (n_bands, n_frames)."""
    hop = round(FRAME_SECONDS * sample_rate)
    n_frames = -(-len(waveform) // hop)
    padded = np.zeros(n_frames * hop, np.float32)
    padded[: len(waveform)] = waveform
    frames = padded.reshape(n_frames, hop) * np.hanning(hop).astype(np.float32)
    power = np.abs(fft.rfft(frames, axis=1)) ** 2
    hz = np.fft.rfftfreq(hop, 1 / sample_rate)
    highest = sample_rate / 2
    edges = np.searchsorted(hz, [*(edge for edge in BANDS_HZ if edge < highest), highest])
    edges = np.minimum(edges, power.shape[1] - 1)
    bands = np.add.reduceat(power, edges, axis=1)[:, :-1].T
    # Parseval's sum, the window's power taken out.
    scaled: NDArray[np.float32] = bands * np.float32(2 / (hop * np.sum(np.hanning(hop) ** 2)))
    return scaled


def close_gaps(active: NDArray[np.bool_], n_gap: int) -> NDArray[np.bool_]:
    """Fill pauses of at most ``n_gap`` frames between active ones.

    Shape:
        active: (n_frames,). Returns the same.
    """
    places = np.flatnonzero(active)
    filled: NDArray[np.bool_] = active.copy()
    for left, right in itertools.pairwise(places):
        if 1 < right - left <= n_gap + 1:
            filled[left:right] = True
    return filled


def prepare_sound(
    waveform: NDArray[np.float32], sample_rate: int, *, speed: tuple[int, int] = (1, 1)
) -> Sound | None:
    """A clip without the silence at its ends, or ``None`` where it holds nothing else.

    Args:
        waveform: Samples of the clip, (time,); shared with the sound unless the speed changes.
        sample_rate: Rate of the waveform, in Hz.
        speed: Played faster by this fraction; pitch and tempo change together.
    """
    if speed != (1, 1):
        waveform = signal.resample_poly(waveform, speed[1], speed[0]).astype(np.float32)
    energy = band_energies(waveform, sample_rate)
    total = energy.sum(axis=0)
    heard = total[total > SILENCE]
    if not len(heard):
        return None
    level = float(np.quantile(heard, LOUD_QUANTILE))
    active = total > level * 10 ** (-ACTIVE_DB / 10)
    active = close_gaps(active, round(MAX_GAP_SECONDS / FRAME_SECONDS))
    places = np.flatnonzero(active)
    if len(places) < MIN_SOUND_SECONDS / FRAME_SECONDS:
        return None
    first, last = int(places[0]), int(places[-1]) + 1
    hop = round(FRAME_SECONDS * sample_rate)
    samples = waveform[first * hop : last * hop]
    return Sound(
        waveform=samples if speed == (1, 1) else samples.copy(),
        energy=energy[:, first:last].copy(),
        is_active=active[first:last].copy(),
        level=level,
    )
