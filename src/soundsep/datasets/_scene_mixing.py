"""Placed sounds to a waveform and its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from soundsep.augment.acoustics import equaliser, room_response
from soundsep.datasets.scene import SceneEvent, SoundscapeConfig
from soundsep.datasets.sounds import (
    FRAME_SECONDS,
    MAX_GAP_SECONDS,
    Sound,
    band_energies,
    close_gaps,
)

__all__ = ["PlacedSound", "Truth", "between", "mix", "power_gain", "tell_truth"]

AUDIBLE_DB = -6.0  # against all the rest, in the band where a sound stands out most
MIN_AUDIBLE = 0.25  # share of a sound's frames that are to be heard, or it does not count
FADE_SECONDS = 0.01
CLIPPED_SHARE = 0.05  # of the scenes, whose loudest samples exceed full scale
ROUNDED_SHARE = 0.5  # of the scenes, which are stored in 16 bits


@dataclass(slots=True)
class PlacedSound:
    """A sound on the time line of a scene.

    Attributes:
        target: Index of its class; -1 for a stranger.
        clip: Number of its clip, or of the stranger.
        sound: Samples and energies.
        first: First frame in the scene; below 0 if the beginning of the sound is cut.
        offset: Frames of the sound that are left out.
        length: Frames of the sound that follow.
        gain: Factor on the samples.
    """

    target: int
    clip: int
    sound: Sound
    first: int
    offset: int
    length: int
    gain: float = 1.0


class Truth(NamedTuple):
    """The audible contents of a scene.

    Attributes:
        clips: Numbers of the clips, as in `Scene`.
        active: Class of each sound, and the frames in which it can be heard, (n_frames,).
        hidden: Class of each sound, and the frames in which it cannot be heard, (n_frames,).
        events: Audible sounds with their times.
    """

    clips: list[int]
    active: list[tuple[int, NDArray[np.bool_]]]
    hidden: list[tuple[int, NDArray[np.bool_]]]
    events: list[SceneEvent]


def between(rng: np.random.Generator, bounds: Sequence[float]) -> float:
    """A number drawn uniformly from (lowest, highest)."""
    return float(rng.uniform(bounds[0], bounds[1]))


def power_gain(level: float, base: float, level_db: float) -> float:
    """Factor that brings a mean power to so many dB over another."""
    return float(np.sqrt(base / level) * 10 ** (level_db / 20))


def tell_truth(
    config: SoundscapeConfig, placed: Sequence[PlacedSound], background: NDArray[np.float32]
) -> Truth:
    """The audible parts of placed sounds, by their energy before they are mixed.

    Shape:
        background: (time,).
    """
    n_frames = config.n_frames
    energies = [_on_line(item, n_frames) for item in placed]
    total = band_energies(background, config.sample_rate) + 1e-12
    for span, energy in energies:
        total[:, span] += energy
    known: list[int] = []
    active: list[tuple[int, NDArray[np.bool_]]] = []
    hidden: list[tuple[int, NDArray[np.bool_]]] = []
    events: list[SceneEvent] = []
    ratio = 10 ** (AUDIBLE_DB / 10)
    for item, (span, energy) in zip(placed, energies, strict=True):
        if item.target < 0:
            continue
        sounds, audible = np.zeros((2, n_frames), np.bool_)
        skipped = item.offset - item.first
        sounds[span] = item.sound.is_active[span.start + skipped : span.stop + skipped]
        stands_out = (energy > ratio * (total[:, span] - energy)).any(axis=0)
        audible[span] = sounds[span] & stands_out
        if audible.sum() < max(3, MIN_AUDIBLE * sounds.sum()):
            hidden.append((item.target, sounds))
            continue
        heard = close_gaps(audible, round(MAX_GAP_SECONDS / FRAME_SECONDS)) & sounds
        known.append(item.clip)
        active.append((item.target, heard))
        hidden.append((item.target, sounds & ~heard))
        events += [
            SceneEvent(a * FRAME_SECONDS, b * FRAME_SECONDS, item.target, item.clip)
            for a, b in _runs(sounds)
            if heard[a:b].any()
        ]
    events.sort(key=lambda event: (event.start_seconds, event.target))
    return Truth(known, active, hidden, events)


def mix(
    config: SoundscapeConfig,
    rng: np.random.Generator,
    placed: Sequence[PlacedSound],
    background: NDArray[np.float32],
    *,
    is_clip: bool,
) -> NDArray[np.float32]:
    """The waveform of a scene: sounds in a room, over the background, through a device.

    Shape:
        background: (time,). Returns (time,).
    """
    hop = round(FRAME_SECONDS * config.sample_rate)
    n_samples, n_fade = config.n_samples, round(FADE_SECONDS * config.sample_rate)
    mixed: NDArray[np.floating] = np.zeros(n_samples, np.float32)
    for item in placed:
        start = max(0, item.first)
        skipped = item.offset + start - item.first
        end = item.offset + item.length
        piece = item.sound.waveform[skipped * hop : end * hop][: n_samples - start * hop]
        piece = piece * np.float32(item.gain)
        n = min(n_fade, len(piece) // 2)
        if n:
            ramp = np.linspace(0, 1, n, dtype=np.float32)
            piece[:n] *= ramp
            piece[-n:] *= ramp[::-1]
        mixed[start * hop : start * hop + len(piece)] += piece
    in_room = not is_clip and rng.random() < config.reverb_share
    has_device = rng.random() < config.device_share
    if in_room or has_device:
        n_tail = max(2 * config.sample_rate, round(config.t60_seconds[1] * config.sample_rate))
        n_fft = fft.next_fast_len(n_samples + n_tail, real=True)
        spectrum = fft.rfft(mixed, n_fft)
        if in_room:
            response = room_response(
                rng,
                sample_rate=config.sample_rate,
                t60_seconds=between(rng, config.t60_seconds),
                direct_db=rng.uniform(-8, 10),
            )
            spectrum = spectrum * fft.rfft(response, n_fft)
        spectrum += fft.rfft(background, n_fft)
        if has_device:
            spectrum *= _device(config, rng, n_fft, is_clip=is_clip)
        mixed = fft.irfft(spectrum, n_fft)[:n_samples].astype(np.float32)
    else:
        mixed = mixed + background
    peak = float(np.abs(mixed).max())
    if peak <= 0:
        return mixed.astype(np.float32)
    if rng.random() < CLIPPED_SHARE:
        over = 10 ** (between(rng, config.clip_db) / 20) / peak
        mixed = np.clip(mixed * np.float32(over), -1, 1)
        peak = 1.0
    mixed = mixed * np.float32(10 ** (between(rng, config.gain_db) / 20) / peak)
    if rng.random() < ROUNDED_SHARE:
        mixed = np.round(mixed * 32_768) / np.float32(32_768)
    waveform: NDArray[np.float32] = mixed.astype(np.float32)
    return waveform


def _device(
    config: SoundscapeConfig, rng: np.random.Generator, n_fft: int, *, is_clip: bool
) -> NDArray[np.float32]:
    rate = config.sample_rate
    low, high = rng.uniform(20, 150), rng.uniform(0.3, 0.5) * rate
    if not is_clip and rng.random() < 0.25:
        low, high = rng.uniform(100, 350), rng.uniform(3_000, 4_500)
    hz = np.fft.rfftfreq(n_fft, 1 / rate)
    return equaliser(rng, hz, max_db=rng.uniform(0, 9), low_hz=low, high_hz=high)


def _on_line(item: PlacedSound, n_frames: int) -> tuple[slice, NDArray[np.float32]]:
    """Which frames of the scene a placed sound takes, and its energy there, (n_bands, time)."""
    span = slice(max(0, item.first), min(n_frames, item.first + item.length))
    skipped = item.offset - item.first
    energy = item.sound.energy[:, span.start + skipped : span.stop + skipped]
    return span, energy * np.float32(item.gain**2)


def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last + 1 of each run of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]
