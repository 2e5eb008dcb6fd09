"""Clips that hold the same recording, found by their sound and not by their names.

Pairs of spectral peaks name candidates, and the waveforms themselves decide.

References:
    Wang (2003), "An industrial-strength audio search algorithm", ISMIR: the pairs of peaks.
    Knapp and Carter (1976), "The generalized correlation method for estimation of time delay",
    IEEE Transactions on Acoustics, Speech, and Signal Processing: the phase transform.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio.level import without_offset
from soundsep.config import check_choice
from soundsep.datasets.clip import Clip, checked_clips
from soundsep.datasets.pieces import Piece, load_pieces
from soundsep.errors import AudioError, warn
from soundsep.progress import progress_bar

__all__ = ["MIN_SIMILARITY", "NearDuplicate", "find_near_duplicates"]

#: Similarity of two clips that hold the same recording. Copies of ESC-50's clips are at 0.4 or
#: above, other recordings at 0.18 or below; docs/leakage.md has the figures.
MIN_SIMILARITY = 0.2

RATE = 16_000  # Hz
N_FFT, HOP = 1024, 256  # samples: bins of 15.6 Hz, frames of 16 ms
PEAK_FRAMES, PEAK_BINS = 31, 15  # the neighbourhood in which a peak is the largest
MAX_FRAMES, MAX_BINS = 63, 40  # between the two peaks of a pair
MIN_BIN = 2  # below are offset and rumble
MIN_LEVEL, MIN_SHARE = 1e-3, 1e-4  # of a peak's magnitude: absolute, and of the largest
MIN_PAIRS = 4  # pairs of a candidate that agree on the offset
SEGMENT = 2**17  # samples that are compared, 8 s
MIN_OVERLAP = RATE // 4  # samples; the fewer there are, the more alike are any two clips
SEARCH = 4 * HOP  # samples by which the offset of the frames may be wrong
FADE = 320  # samples; steps at the ends of a segment would be alike in all segments


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicate:
    """Two clips that hold the same recording.

    Attributes:
        training: The first clip.
        test: The second clip.
        similarity: From 0 to 1 for the same waveform, whatever its gain and polarity: the geometric
            mean of the correlation of the two waveforms and of that of their phases.
        offset_seconds: Time by which the recording begins later in ``test``.
    """

    training: Clip
    test: Clip
    similarity: float
    offset_seconds: float


class Landmarks(NamedTuple):
    """Pairs of spectral peaks of one clip.

    Attributes:
        pair: Both frequencies and the time between them, as one number, (n,).
        frame: Frame of the first peak, (n,).
    """

    pair: NDArray[np.int64]
    frame: NDArray[np.int64]


def find_near_duplicates(
    training: Iterable[Clip],
    test: Iterable[Clip] | None = None,
    *,
    min_similarity: float = MIN_SIMILARITY,
    errors: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> list[NearDuplicate]:
    """Pairs of a training and a test clip that hold the same recording, or part of one.

    This finds copies at another gain, rate, polarity or constant offset, shifted or cropped,
    re-encoded, or with noise or another sound added. It does not find copies at another speed or
    pitch, nor sounds of which less than a few tenths of a second are left. Silence matches nothing.

    Comparing 2000 clips of 5 s with each other takes about 40 s on one core.

    Args:
        training: Clips.
        test: Clips; without them, ``training`` is searched for pairs within itself.
        min_similarity: Least similarity of the pairs to report, from 0 to 1.
        errors: ``"raise"`` stops at the first clip that cannot be read; ``"skip"`` compares all
            others, and names those that cannot in a warning.
        progress: Show a progress bar.

    Returns:
        The pairs, the most similar first.

    Raises:
        AudioError: a clip cannot be read, and ``errors`` is ``"raise"``.
        ConfigError: a clip is something else, such as a path, or ``errors`` is another word.

    Warns:
        SoundsepWarning: clips cannot be read, and ``errors`` is ``"skip"``.
    """
    check_choice("errors", errors, ("raise", "skip"))
    known = checked_clips("find_near_duplicates takes clips", training)
    asked = known if test is None else checked_clips("find_near_duplicates takes clips", test)
    bar = functools.partial(progress_bar, progress=progress, unit="clip")
    # Together, so that a long recording is read once for the fingerprints of all its clips.
    audio = dict.fromkeys(clip.audio for clip in (*known, *asked))
    loaded = bar(load_pieces(audio, target_rate=RATE), total=len(audio), desc="fingerprints")
    marks: dict[Path | Piece, Landmarks] = {}
    faults: list[str] = []
    for one, waveform in loaded:
        if not isinstance(waveform, AudioError):
            marks[one] = landmarks(_samples(waveform))
        elif errors == "raise":
            raise waveform
        else:
            faults.append(str(waveform))
    if faults:
        warn("\n".join([f"{len(faults)} of {len(audio)} clips could not be compared:", *faults]))
    known, asked = (tuple(c for c in side if c.audio in marks) for side in (known, asked))
    index = _Index([marks[clip.audio] for clip in known])
    load = functools.lru_cache(maxsize=64)(_load)
    found = []
    for i, clip in enumerate(bar(asked, desc="comparing")):
        for k, offset, frame in index.candidates(marks[clip.audio]):
            if test is None and k >= i:
                continue
            waveforms = load(known[k].audio), load(clip.audio)
            similarity, lag = compare(*waveforms, offset, HOP * frame)
            if similarity >= min_similarity:
                pair = NearDuplicate(
                    training=known[k], test=clip, similarity=similarity, offset_seconds=lag / RATE
                )
                found.append(pair)
    return sorted(found, key=lambda pair: -pair.similarity)


def _load(audio: Path | Piece) -> NDArray[np.float32]:
    ((_, waveform),) = load_pieces([audio], target_rate=RATE)
    if isinstance(waveform, AudioError):  # only if it was changed since its fingerprint
        raise waveform
    return _samples(waveform)


def _samples(waveform: Tensor) -> NDArray[np.float32]:
    """Without a constant offset, which is no part of the recording, and may be its loudest."""
    samples: NDArray[np.float32] = without_offset(waveform).numpy()
    return samples


def landmarks(waveform: NDArray[np.float32]) -> Landmarks:
    """Pairs of peaks that are near each other in time and frequency.

    Shape:
        waveform: (time,) at 16 kHz.
    """
    from scipy.ndimage import maximum_filter  # takes a while to import

    padded = np.pad(waveform, (0, max(0, N_FFT - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    window = np.hanning(N_FFT).astype(np.float32)
    blocks = (frames[i : i + 4096] for i in range(0, len(frames), 4096))  # for long files
    magnitude = np.concatenate(
        [np.abs(np.fft.rfft(block * window, axis=1)).astype(np.float32) for block in blocks]
    )
    largest = maximum_filter(magnitude, size=(PEAK_FRAMES, PEAK_BINS), mode="constant")
    floor = max(MIN_LEVEL, MIN_SHARE * float(magnitude.max()))
    is_peak = (magnitude == largest) & (magnitude > floor)
    is_peak[:, :MIN_BIN] = False
    time, bin_ = np.nonzero(is_peak)  # sorted by time
    pairs, firsts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, len(time)):
        dt, df = time[step:] - time[:-step], bin_[step:] - bin_[:-step]
        if dt.min() > MAX_FRAMES:
            break
        near = (dt <= MAX_FRAMES) & (np.abs(df) <= MAX_BINS)
        code = (bin_[:-step] * (2 * MAX_BINS + 1) + df + MAX_BINS) * (MAX_FRAMES + 1) + dt
        pairs.append(code[near])
        firsts.append(time[:-step][near])
    return Landmarks(np.concatenate(pairs), np.concatenate(firsts))


class _Index:
    """The landmarks of many clips, sorted for fast search."""

    def __init__(self, marks: Sequence[Landmarks]) -> None:
        pair = np.concatenate([np.zeros(0, np.int64), *(m.pair for m in marks)])
        order = np.argsort(pair, kind="stable")
        self.pair = pair[order]
        self.frame = np.concatenate([np.zeros(0, np.int64), *(m.frame for m in marks)])[order]
        self.clip = np.repeat(np.arange(len(marks)), [len(m.pair) for m in marks])[order]

    def candidates(self, own: Landmarks) -> Iterator[tuple[int, int, int]]:
        """Clips that share pairs, each with its best offset in samples, and where in ``own``."""
        first = np.searchsorted(self.pair, own.pair, "left")
        n = np.searchsorted(self.pair, own.pair, "right") - first
        entry = np.repeat(first - np.cumsum(n) + n, n) + np.arange(n.sum())
        frame = np.repeat(own.frame, n)
        clip, offset = self.clip[entry], frame - self.frame[entry]
        span = 2 * int(np.abs(offset).max(initial=0)) + 3  # one free place between two clips
        key, count = np.unique(clip * span + offset + span // 2, return_counts=True)
        # A shift by a fraction of a frame spreads the pairs over two neighbours.
        count[:-1] += np.where(np.diff(key) == 1, count[1:], 0)
        for at in np.flatnonzero(count >= MIN_PAIRS):
            k, best = divmod(int(key[at]), span)
            lo, hi = np.searchsorted(key, (k * span, (k + 1) * span))
            if at == lo + count[lo:hi].argmax():
                agree = (clip == k) & (np.abs(offset - (best - span // 2)) <= 1)
                yield k, HOP * (best - span // 2), int(np.median(frame[agree]))


def compare(
    a: NDArray[np.float32], b: NDArray[np.float32], offset: int, centre: int
) -> tuple[float, int]:
    """How similar ``b`` is to ``a`` when it is about ``offset`` samples late, and its exact delay.

    Args:
        a: (time,).
        b: (time,).
        offset: Delay of ``b``, in samples.
        centre: The sample of ``b`` around which the two are compared.
    """
    start = max(0, offset, min(centre - SEGMENT // 2, len(b) - SEGMENT))
    stop = min(len(b), len(a) + offset, start + SEGMENT)
    if stop - start < MIN_OVERLAP:
        return 0.0, offset
    n_ramp = min(FADE, (stop - start) // 4)
    window = np.ones(stop - start, np.float32)
    window[:n_ramp] = np.sin(np.pi / 2 * np.arange(n_ramp) / n_ramp) ** 2
    window[-n_ramp:] = window[:n_ramp][::-1]
    one, other = a[start - offset : stop - offset] * window, b[start:stop] * window
    energy = float(np.sqrt(np.sum(one**2, dtype=float) * np.sum(other**2, dtype=float)))
    if energy == 0.0:
        return 0.0, offset
    n = 1 << (len(one) + SEARCH - 1).bit_length()
    cross = np.fft.rfft(other, n) * np.fft.rfft(one, n).conj()
    size = np.abs(cross)
    phases = np.fft.irfft(cross / np.maximum(size, 1e-12 * size.max()), n)
    plain = np.fft.irfft(cross, n) / energy
    lags = np.arange(-SEARCH, SEARCH)
    lag = int(lags[np.abs(plain * phases)[lags].argmax()])
    similarity = np.sqrt(np.abs(plain[lags]).max() * np.abs(phases[lags]).max())
    return min(1.0, float(similarity)), offset + lag
