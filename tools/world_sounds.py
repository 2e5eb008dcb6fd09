"""What `measure_world` plays to a model beside clips: computed sounds, rooms, folders.

Nothing here is shared with what trainings compute, so that it is no training material.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor

from soundsep import load_audio
from soundsep.audio.find import find_recordings
from soundsep.audio.windows import split_windows

RATE, SECONDS = 16_000, 5.0
N_SAMPLES = round(RATE * SECONDS)
N_OF_KIND = 60
DIRECT_DB = -10.0  # direct sound over reverberation
LEVELS_DB = (-10.0, -30.0, -50.0)  # dBFS, in turn: mean power, of clicks the peak

Wave = NDArray[np.float64]
TIME = np.arange(N_SAMPLES) / RATE


def _coloured(rng: np.random.Generator, slope: float) -> Wave:
    spectrum = np.fft.rfft(rng.standard_normal(N_SAMPLES))
    bins = np.arange(len(spectrum))
    spectrum *= np.maximum(bins, 20 * SECONDS) ** -slope
    spectrum[0] = 0
    return np.fft.irfft(spectrum, N_SAMPLES)


def _tone(hz: float, phase: float) -> Wave:
    return np.sin(2 * np.pi * (hz * TIME + phase))


def _hum(rng: np.random.Generator) -> Wave:
    base = rng.choice([50.0, 60.0]) * (1 + rng.uniform(-0.002, 0.002))
    levels = rng.uniform(0.05, 1, 12) / np.arange(1, 13)
    wave = sum(a * _tone(base * (i + 1), rng.random()) for i, a in enumerate(levels))
    return np.asarray(wave) + 0.01 * _coloured(rng, 0.5)


def _tones(rng: np.random.Generator) -> Wave:
    hz = np.exp(rng.uniform(np.log(80), np.log(7_000), rng.integers(1, 4)))
    return np.asarray(sum(_tone(f, rng.random()) for f in hz))


def _room(rng: np.random.Generator) -> Wave:
    """Ventilation and far traffic: dull noise that swells a little, and a trace of hum."""
    low = signal.butter(2, rng.uniform(150, 900), fs=RATE)
    wave = signal.lfilter(*low, _coloured(rng, rng.uniform(0.3, 0.8)))
    wave *= 1 + 0.3 * _tone(rng.uniform(0.05, 0.3), rng.random())
    return np.asarray(wave / np.std(wave) + 0.1 * _tone(50.0, rng.random()))


def _clicks(rng: np.random.Generator) -> Wave:
    wave = np.zeros(N_SAMPLES)
    for at in rng.integers(0, N_SAMPLES - 200, rng.integers(1, 8)):
        length = int(rng.integers(1, 60))
        wave[at : at + length] += rng.uniform(0.3, 1) * np.exp(-np.arange(length) / 8)
    return wave + 1e-4 * rng.standard_normal(N_SAMPLES)


def _chord(rng: np.random.Generator) -> Wave:
    """Three or four notes of an organ or a plucked string."""
    root = 55 * 2 ** rng.uniform(0, 3)
    steps = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 5, 7))[int(rng.integers(4))]
    wave = np.zeros(N_SAMPLES)
    for step in steps:
        for k in range(1, 9):
            wave += _tone(root * 2 ** (step / 12) * k, rng.random()) * k ** -rng.uniform(1, 2)
    if rng.random() < 0.5:
        wave *= np.exp(-TIME % rng.uniform(0.5, 2.5))
    return wave


def _knocks(rng: np.random.Generator) -> Wave:
    """A machine that knocks 8 to 40 times a second and rings, over pink noise."""
    wave = np.zeros(N_SAMPLES)
    spaces = (1 + 0.1 * rng.standard_normal(N_SAMPLES // 100)).clip(0.3)
    times = np.cumsum(spaces) / np.exp(rng.uniform(np.log(8), np.log(40)))
    at = (times[times < SECONDS] * RATE).astype(int)
    wave[at] = 1 + 0.3 * rng.standard_normal(len(at))
    ring = np.zeros(RATE // 4)
    for _ in range(rng.integers(2, 7)):
        hz = np.exp(rng.uniform(np.log(300), np.log(7_000)))
        fall = np.exp(rng.uniform(np.log(0.002), np.log(0.08)))
        ring += rng.uniform(0.1, 1) * (np.exp(-TIME / fall) * _tone(hz, rng.random()))[: len(ring)]
    wave = signal.fftconvolve(wave, ring)[:N_SAMPLES]
    noise = _coloured(rng, 0.5)
    level = 10 ** (rng.uniform(-20, 0) / 20)
    return np.asarray(wave / np.std(wave) + level * noise / np.std(noise))


KINDS: dict[str, Callable[[np.random.Generator], Wave]] = {
    "white noise": lambda rng: rng.standard_normal(N_SAMPLES),
    "pink noise": lambda rng: _coloured(rng, 0.5),
    "brown noise": lambda rng: _coloured(rng, 1.0),
    "hum": _hum,
    "tones": _tones,
    "room tone": _room,
    "clicks": _clicks,
    "chords": _chord,
}
MACHINES = {"knocks": _knocks}  # computed strangers: sounds of none of the labels, but no noise


def computed(kind: str, *, seed: int) -> list[Tensor]:
    """All sounds of a kind, at the three levels in turn."""
    waves = []
    for case in range(N_OF_KIND):
        rng = np.random.default_rng((seed, case))
        wave = (KINDS | MACHINES)[kind](rng)
        reference = np.abs(wave).max() if kind == "clicks" else np.sqrt(np.mean(wave**2))
        gain = 10 ** (LEVELS_DB[case % len(LEVELS_DB)] / 20) / reference
        waves.append(torch.from_numpy((gain * wave).clip(-1, 1).astype(np.float32)))
    return waves


def in_room(waveform: Tensor, *, t60_seconds: float, seed: int) -> Tensor:
    """A clip far away in a room, most of it reverberation; its level stays."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(t60_seconds * RATE)) / RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / t60_seconds)
    tail[: round(0.003 * RATE)] = 0
    response = tail / np.linalg.norm(tail) * 10 ** (-DIRECT_DB / 20)
    response[0] = 1.0
    dry = waveform.numpy().astype(np.float64)
    wet = signal.fftconvolve(dry, response)[: len(dry)]
    wet *= np.sqrt(np.mean(dry**2) / max(np.mean(wet**2), 1e-20))
    return torch.from_numpy((wet / max(1.0, np.abs(wet).max())).astype(np.float32))


def elsewhere(waveform: Tensor, *, seed: int) -> dict[str, Tensor]:
    """A clip of at most `SECONDS` as it would sound farther away, over pink noise, or in a room."""
    rng = np.random.default_rng(seed)
    pink = torch.from_numpy(_coloured(rng, 0.5).astype(np.float32))[: len(waveform)]
    pink *= (waveform.square().mean() / pink.square().mean()).sqrt()
    return {
        "20 dB softer": 0.1 * waveform,
        "40 dB softer": 0.01 * waveform,
        "pink noise 10 dB softer": waveform + 10**-0.5 * pink,
        "pink noise as loud": waveform + pink,
        "0.8 s of reverberation": in_room(waveform, t60_seconds=0.8, seed=seed),
    }


def recordings(*folders: Path) -> Iterator[tuple[str, Tensor]]:
    """Name without suffix and waveform of every recording in some folders."""
    for path in find_recordings(*folders).paths:
        yield Path(path).stem, load_audio(path, target_rate=RATE)[0]


def pieces(*folders: Path) -> list[Tensor]:
    """Every recording in pieces of a clip's length; a last bit that is shorter overlaps."""
    return [
        piece
        for _, waveform in recordings(*folders)
        for piece in split_windows(waveform, window=N_SAMPLES, hop=N_SAMPLES, padding="zero")
    ]
