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
TIME = np.arange(int(SECONDS * RATE)) / RATE


def band_noise(rng: np.random.Generator, low_hz: float, high_hz: float) -> Signal:
    """Gaussian noise with a soft-edged band, of unit power."""
    spectrum = np.fft.rfft(rng.standard_normal(TIME.size))
    frequency = np.fft.rfftfreq(TIME.size, 1 / RATE)
    shape = 1 / (1 + (low_hz / np.maximum(frequency, 1)) ** 4) / (1 + (frequency / high_hz) ** 4)
    noise = np.fft.irfft(spectrum * shape, TIME.size)
    return noise / noise.std()


def place(starts: NDArray[np.float64], sound: Signal, gains: NDArray[np.float64]) -> Signal:
    """The same short sound at several times, in seconds."""
    out = np.zeros(TIME.size + sound.size)
    for start, gain in zip(starts, gains, strict=True):
        first = int(start * RATE)
        out[first : first + sound.size] += gain * sound
    return out[: TIME.size]


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


def siren(rng: np.random.Generator) -> Signal:
    """A wail: pitch up and down over 2.5 s, with harmonics and some street noise."""
    pitch = 950 + 400 * np.sin(2 * np.pi * TIME / 2.5 - np.pi / 2)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(n * phase) / n for n in (1, 2, 3, 4, 5))
    return np.asarray(tone) + 0.05 * band_noise(rng, 50, 1500)


def church_bells(rng: np.random.Generator) -> Signal:
    """Two bells: hum, prime, minor third, fifth, octave and upper partials."""
    ratios = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.67, 3.0, 4.0])
    decays = [2.5, 1.6, 1.3, 1.0, 1.2, 0.6, 0.5, 0.3]
    high, low = (ring(list(f * ratios), decays, 4.0) for f in (523.0, 392.0))
    gains = np.ones(3)
    out = place(np.array([0.05, 1.75, 3.45]), high, gains)
    return out + place(np.array([0.9, 2.6, 4.3]), low, gains) + 0.01 * band_noise(rng, 50, 2000)


def clock_tick(rng: np.random.Generator) -> Signal:
    """Tick and tock, twice a second: a few resonances that die within milliseconds."""
    tick = ring([1500.0, 2900.0, 4700.0], [0.008, 0.005, 0.003], 0.05)
    starts = np.arange(0.1, 4.9, 0.5)
    gains = np.where(np.arange(starts.size) % 2, 0.7, 1.0)
    return place(starts, tick, gains) + 0.001 * band_noise(rng, 100, 4000)


def rain(rng: np.random.Generator) -> Signal:
    """A hiss of far drops, and near ones as thousands of bubbles, each with a pitch of its own."""
    out = band_noise(rng, 100, 8000)
    for start in rng.uniform(0, SECONDS, 3000):
        pitch = rng.uniform(800, 5000)
        drop = rng.exponential() * ring([pitch], [0.001], 0.008)
        out += place(np.array([start]), drop, np.ones(1))
    return out


def wind(rng: np.random.Generator) -> Signal:
    """Low noise in gusts."""
    gusts = np.interp(TIME, np.linspace(0, SECONDS, 12), rng.uniform(0.2, 1.0, 12))
    return gusts * band_noise(rng, 60, 700)


def crickets(rng: np.random.Generator) -> Signal:
    """Chirps of three pulses at 4.4 kHz over the quiet of a night."""
    pulse_time = np.arange(int(0.016 * RATE)) / RATE
    pulse = np.sin(np.pi * pulse_time / 0.016) ** 2 * np.sin(2 * np.pi * 4400 * pulse_time)
    starts = (np.arange(0.05, 4.9, 0.33)[:, None] + np.array([0, 0.03, 0.06])).ravel()
    return place(starts, pulse, np.ones(starts.size)) + 0.02 * band_noise(rng, 200, 6000)


def clock_alarm(rng: np.random.Generator) -> Signal:
    """Four quick beeps a second, as a digital alarm clock gives them."""
    beep_time = np.arange(int(0.06 * RATE)) / RATE
    beep = np.sign(np.sin(2 * np.pi * 2050 * beep_time)) * np.sin(np.pi * beep_time / 0.06) ** 0.3
    starts = (np.arange(0.1, 4.6, 1.0)[:, None] + np.array([0, 0.12, 0.24, 0.36])).ravel()
    return place(starts, beep, np.ones(starts.size)) + 0.005 * band_noise(rng, 100, 3000)


def door_knock(rng: np.random.Generator) -> Signal:
    """Four knocks on wood, twice, in a small room."""
    knock = ring([110.0, 190.0, 260.0, 410.0, 700.0], [0.03, 0.03, 0.02, 0.015, 0.01], 0.4)
    knuckle = rng.standard_normal(knock.size) * np.exp(-np.arange(knock.size) / RATE / 0.004)
    knock += np.convolve(knuckle, np.full(12, 1 / 12), "same")
    walls = rng.standard_normal(RATE // 3) * np.exp(-np.arange(RATE // 3) / RATE / 0.07)
    knock = np.convolve(knock, np.concatenate(([1.0], 0.01 * walls)))
    starts = np.array([0.3, 0.5, 0.7, 0.9, 2.5, 2.7, 2.9, 3.1])
    return place(starts, knock, np.linspace(1, 0.8, 8)) + 0.002 * band_noise(rng, 50, 1000)


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
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
