#!/usr/bin/env python3
"""Write a few synthetic sounds as wav files, to have something to classify at once.

    python examples/synthesise_sounds.py FOLDER

No recording is among them: each is computed here from sines, noise and envelopes, in the rough
shape of the sound it is named after. They show that the library runs; how well it hears is
measured on real recordings (see the table of models in README.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 44_100  # Hz
SECONDS = 5.0
Signal = NDArray[np.float64]


def times(seconds: float) -> Signal:
    """The time of every sample, in seconds."""
    return np.arange(int(seconds * RATE)) / RATE


def band_noise(
    rng: np.random.Generator, low_hz: float, high_hz: float, seconds: float = SECONDS
) -> Signal:
    """Gaussian noise with a soft-edged band, of unit power."""
    n_samples = times(seconds).size
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    frequency = np.fft.rfftfreq(n_samples, 1 / RATE)
    shape = 1 / (1 + (low_hz / np.maximum(frequency, 1)) ** 4) / (1 + (frequency / high_hz) ** 4)
    noise = np.fft.irfft(spectrum * shape, n_samples)
    return noise / noise.std()


def place(
    starts: NDArray[np.float64],
    sound: Signal,
    gains: NDArray[np.float64],
    seconds: float = SECONDS,
) -> Signal:
    """The same short sound at several times, in seconds."""
    n_samples = times(seconds).size
    out = np.zeros(n_samples + sound.size)
    for start, gain in zip(starts, gains, strict=True):
        first = int(start * RATE)
        out[first : first + sound.size] += gain * sound
    return out[:n_samples]


def in_a_room(rng: np.random.Generator, sound: Signal, decay_seconds: float, gain: float) -> Signal:
    """With the echoes of walls, as noise that dies away."""
    walls = gain * rng.standard_normal(RATE) * np.exp(-times(1.0) / decay_seconds)
    n_fft = sound.size + walls.size
    echoes = np.fft.irfft(np.fft.rfft(sound, n_fft) * np.fft.rfft(walls, n_fft), n_fft)
    return sound + echoes[: sound.size]


def ring(frequencies: list[float], decays: list[float], seconds: float) -> Signal:
    """Decaying sines: something that was struck. Decays are in seconds."""
    t = np.arange(int(seconds * RATE)) / RATE
    return np.sum(
        [
            np.exp(-t / d) * np.sin(2 * np.pi * f * t)
            for f, d in zip(frequencies, decays, strict=True)
        ],
        axis=0,
    )


def siren(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """A wail: pitch up and down over 2.5 s, with harmonics and some street noise."""
    pitch = 950 + 400 * np.sin(2 * np.pi * times(seconds) / 2.5 - np.pi / 2)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(n * phase) / n for n in (1, 2, 3, 4, 5))
    return np.asarray(tone) + 0.05 * band_noise(rng, 50, 1500, seconds)


def church_bells(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """Two bells in a tower: hum, prime, minor third, fifth, octave, upper partials, clapper."""
    ratios = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.1, 5.2])
    decays = [6.0, 3.5, 2.5, 1.6, 2.0, 1.0, 0.8, 0.7, 0.5, 0.3]
    out = np.zeros(times(seconds).size)
    for first, pitch in ((0.1, 523.0), (0.95, 392.0)):
        # Each partial is double, since no bell is round; so it beats.
        bell = sum(ring(list(pitch * side * ratios), decays, 6.0) for side in (0.998, 1.002))
        clapper = np.exp(-times(6.0) / 0.01) * rng.standard_normal(times(6.0).size)
        starts = np.arange(first, seconds - 0.05, 1.7)
        out += place(starts, np.asarray(bell) + 0.3 * clapper, np.ones(starts.size), seconds)
    return in_a_room(rng, out, 0.3, 0.01) + 0.1 * band_noise(rng, 50, 2000, seconds)


def clock_tick(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """Tick and tock, twice a second: a few resonances that die within milliseconds."""
    tick = ring([1500.0, 2900.0, 4700.0], [0.008, 0.005, 0.003], 0.05)
    starts = np.arange(0.1, seconds - 0.1, 0.5)
    gains = np.where(np.arange(starts.size) % 2, 0.7, 1.0)
    return place(starts, tick, gains, seconds) + 0.001 * band_noise(rng, 100, 4000, seconds)


def rain(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """A hiss of far drops, and near ones as thousands of bubbles, each with a pitch of its own."""
    out = band_noise(rng, 100, 8000, seconds)
    for start in rng.uniform(0, seconds, round(600 * seconds)):
        pitch = rng.uniform(1500, 7000)
        drop = rng.exponential() * ring([pitch], [0.001], 0.008)
        near = out[int(start * RATE) :][: drop.size]
        near += drop[: near.size]
    return out


def wind(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """Low noise in gusts."""
    n_gusts = round(2.4 * seconds)
    gusts = np.interp(
        times(seconds), np.linspace(0, seconds, n_gusts), rng.uniform(0.2, 1.0, n_gusts)
    )
    return gusts * band_noise(rng, 60, 700, seconds)


def crickets(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """One insect near and two far, each chirping in threes at a pitch and pace of its own."""
    out = 0.02 * band_noise(rng, 200, 6000, seconds)
    for pitch, pace, gain in ((4400.0, 0.33, 1.0), (4650.0, 0.29, 0.2), (4100.0, 0.43, 0.15)):
        time = times(0.018)
        pulse = gain * np.sin(np.pi * time / 0.018) ** 2 * np.sin(2 * np.pi * pitch * time)
        chirps = np.arange(rng.uniform(0.02, 0.2), seconds - 0.2, pace)
        chirps = np.maximum(0, chirps + rng.uniform(-0.02, 0.02, chirps.size))
        starts = (chirps[:, None] + np.array([0, 0.033, 0.066])).ravel()
        out += place(starts, pulse, rng.uniform(0.7, 1.1, starts.size), seconds)
    return out


def clock_alarm(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """Four quick beeps a second, as a digital alarm clock gives them."""
    time = times(0.06)
    beep = np.sign(np.sin(2 * np.pi * 2050 * time)) * np.sin(np.pi * time / 0.06) ** 0.3
    starts = np.arange(0.1, seconds - 0.4, 1.0)[:, None] + np.array([0, 0.12, 0.24, 0.36])
    beeps = place(starts.ravel(), beep, np.ones(starts.size), seconds)
    return beeps + 0.005 * band_noise(rng, 100, 3000, seconds)


def door_knock(rng: np.random.Generator, seconds: float = SECONDS) -> Signal:
    """Four knocks on wood, every 2.2 s, in a small room."""
    knock = ring([110.0, 190.0, 260.0, 410.0, 700.0], [0.03, 0.03, 0.02, 0.015, 0.01], 0.4)
    knuckle = rng.standard_normal(knock.size) * np.exp(-np.arange(knock.size) / RATE / 0.004)
    knock += np.convolve(knuckle, np.full(12, 1 / 12), "same")
    walls = rng.standard_normal(RATE // 3) * np.exp(-np.arange(RATE // 3) / RATE / 0.07)
    knock = np.convolve(knock, np.concatenate(([1.0], 0.01 * walls)))
    starts = np.arange(0.3, seconds - 1.5, 2.2)[:, None] + np.array([0, 0.2, 0.4, 0.6])
    gains = np.linspace(1, 0.8, starts.size)
    knocks = place(starts.ravel(), knock, gains, seconds)
    return knocks + 0.002 * band_noise(rng, 50, 1000, seconds)


SOUNDS = (siren, church_bells, clock_tick, rain, wind, crickets, clock_alarm, door_knock)


def main(folder: Path) -> None:
    """Write every sound to ``folder``, with a peak of -6 dBFS."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, sound in enumerate(SOUNDS):
        samples = sound(np.random.default_rng(number))
        path = folder / f"synthetic_{sound.__name__}.wav"
        soundfile.write(path, 0.5 * samples / np.abs(samples).max(), RATE, subtype="PCM_16")
    print(f"wrote {len(SOUNDS)} synthetic sounds (no recordings) to {folder}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
