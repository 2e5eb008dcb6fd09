#!/usr/bin/env python3
"""Make computed machines and tunes, sounds of none of the labels, for trainings on scenes.

    python tools/make_machines.py FOLDER [--n 700]
    python tools/train_scenes.py ... --strangers FOLDER [FOLDER...]

Three of five are trains of knocks that ring, as of a jackhammer or a rattling machine; the others
drills and tunes. The same number gives the same files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

RATE, SECONDS = 16_000, 5
N = RATE * SECONDS
TIME = np.arange(N) / RATE
PEAK = 0.5
SEED = 77

Wave = NDArray[np.float64]
Random = np.random.Generator


def _between(rng: Random, low: float, high: float) -> float:
    """Drawn so that every octave is as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _db(rng: Random, low: float, high: float) -> float:
    """A factor from a level."""
    return float(10 ** (rng.uniform(low, high) / 20))


def noise(rng: Random, slope: float) -> Wave:
    """Coloured noise of deviation 1, whose magnitude falls with the frequency to that power."""
    spectrum = np.fft.rfft(rng.standard_normal(N))
    spectrum *= np.maximum(np.arange(len(spectrum)), 100) ** -slope
    spectrum[0] = 0
    wave = np.fft.irfft(spectrum, N)
    return np.asarray(wave / np.std(wave))


def knocks(rng: Random) -> Wave:
    """Knocks 7 to 45 times a second, each of which rings at 500 Hz and above."""
    rate, jitter = _between(rng, 7, 45), rng.uniform(0, 0.15)
    spaces = (1 + jitter * rng.standard_normal(int(6 * rate) + 2)).clip(0.2)
    at = np.cumsum(1 / rate * spaces)
    at = at[at < SECONDS]
    impulses = np.zeros(N)
    impulses[(at * RATE).astype(int)] = 1 + 0.3 * rng.standard_normal(len(at))
    time = np.arange(RATE // 4) / RATE
    ring = np.zeros(len(time))
    for _ in range(rng.integers(2, 8)):
        hz, fall = _between(rng, 500, 7_500), _between(rng, 0.002, 0.08)
        level = rng.uniform(0.1, 1)
        ring += level * np.exp(-time / fall) * np.sin(2 * np.pi * hz * time + rng.uniform(0, 6.3))
    level, fall = rng.uniform(0, 1), _between(rng, 0.001, 0.02)
    ring += level * np.exp(-time / fall) * rng.standard_normal(len(time))
    wave = signal.fftconvolve(impulses, ring)[:N]
    wave /= np.std(wave) + 1e-9
    wave = wave + _db(rng, -25, 0) * noise(rng, rng.uniform(0, 1))
    if rng.random() < 0.5:
        wave = wave + _db(rng, -20, 3) * noise(rng, 1.2)
    return np.asarray(wave)


def drill(rng: Random) -> Wave:
    """A motor of 120 to 900 Hz that drifts or starts, with its harmonics and noise."""
    hz = _between(rng, 120, 900)
    drift = np.cumsum(rng.standard_normal(N)) / RATE * rng.uniform(0, 40)
    if rng.random() < 0.5:
        drift = drift - hz * 0.5 * np.exp(-TIME / rng.uniform(0.05, 1))
    phase = 2 * np.pi * np.cumsum(hz + drift) / RATE
    wave = np.zeros(N)
    tilt = rng.uniform(0, 1.5)
    for k in range(1, int(min(40, 7_500 / hz)) + 1):
        level = rng.uniform(0.1, 1)
        wave += level * k**-tilt * np.sin(k * phase + rng.uniform(0, 6.3))
    wave /= np.std(wave)
    return np.asarray(wave + _db(rng, -15, 6) * noise(rng, rng.uniform(-0.2, 0.8)))


def tune(rng: Random) -> Wave:
    """Notes and chords that fade, some with a stroke of noise."""
    wave, begin = np.zeros(N), 0.0
    while begin < SECONDS:
        length = float(rng.choice([0.15, 0.2, 0.3, 0.4, 0.6]))
        first = int(begin * RATE)
        n = min(N - first, int(length * 1.5 * RATE))
        time = np.arange(n) / RATE
        for _ in range(rng.integers(1, 4)):
            hz = 110 * 2 ** (rng.integers(0, 36) / 12)
            for k in range(1, 8):
                level = rng.uniform(0.2, 1) * k ** -rng.uniform(0.8, 2)
                fall = np.exp(-time / rng.uniform(0.1, 1.0))
                wave[first : first + n] += level * fall * np.sin(2 * np.pi * hz * k * time)
        if rng.random() < 0.5:
            n = min(n, RATE // 10)
            level, fall = rng.uniform(0, 2), np.exp(-np.arange(n) / RATE / 0.03)
            wave[first : first + n] += level * fall * rng.standard_normal(n)
        begin += length
    return np.asarray(wave / np.std(wave) + _db(rng, -40, -5) * noise(rng, 0.7))


KINDS: tuple[Callable[[Random], Wave], ...] = (knocks, knocks, drill, knocks, tune)


def machine(number: int) -> Wave:
    """One of them, at times in a room, dull, or only a part of the time."""
    rng = np.random.default_rng((SEED, number))
    wave = KINDS[number % len(KINDS)](rng)
    if rng.random() < 0.3:
        time = np.arange(int(0.6 * RATE)) / RATE
        response = rng.standard_normal(len(time)) * 10 ** (-3 * time / rng.uniform(0.2, 1.2))
        response *= _db(rng, -10, 3) / np.linalg.norm(response)
        response[0] = 1
        wave = signal.fftconvolve(wave, response)[:N]
    if rng.random() < 0.3:
        wave = signal.lfilter(*signal.butter(2, _between(rng, 1_500, 7_000), fs=RATE), wave)
    if rng.random() < 0.25:
        is_on = np.zeros(N)
        first, length = int(rng.uniform(0, 3) * RATE), int(rng.uniform(1, 4) * RATE)
        is_on[first : first + length] = 1
        faint = 1e-3 * noise(rng, 0.5) * np.std(wave)
        wave = wave * np.convolve(is_on, np.ones(400) / 400, "same") + faint
    return np.asarray(wave / np.abs(wave).max() * PEAK)


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=700)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.n):
        path = options.folder / f"m{number:04}.flac"
        soundfile.write(path, machine(number), RATE)


if __name__ == "__main__":
    main()
