"""Computed rooms, recording devices and noises: what stands between a sound and a recording."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

__all__ = ["equaliser", "noise", "room_response"]

FloatArray = NDArray[np.float32]

MAX_NOISE_SECONDS = 60  # of one kind of noise
NOISE_FADE_SECONDS = 1.0  # from one kind to the next
ROW = 1024  # samples of a tone that are computed from one phase


def room_response(
    rng: np.random.Generator,
    *,
    sample_rate: int,
    t60_seconds: float,
    direct_db: float,
) -> FloatArray:
    """Impulse response of a room: the direct sound, then decaying noise, whose highs decay sooner.

    Args:
        rng: Source of the random numbers.
        sample_rate: Rate of the response, in Hz.
        t60_seconds: Time in which the reverberation of the lows falls by 60 dB; that of the highs
            takes up to a third less.
        direct_db: Level of the direct sound relative to all reverberation, in dB.

    Shape:
        Returns (time,), ``t60_seconds`` long and of unit energy.

    References:
        Polack (1988), "La transmission de l'energie sonore dans les salles": the tail of a room is
        noise under an exponential.
    """
    n_samples = max(2, round(t60_seconds * sample_rate))
    seconds = np.arange(n_samples, dtype=np.float32) / sample_rate
    tail = rng.standard_normal(n_samples, dtype=np.float32) * np.exp(-6.9 * seconds / t60_seconds)
    # Air and walls take the highs: the same noise, filtered, in the second half of the decay.
    dull = signal.lfilter([0.4], [1, -0.6], tail)
    share = np.minimum(1.0, 2 * seconds / t60_seconds)
    tail = tail * (1 - share) + dull * share
    tail[: round(0.002 * sample_rate)] = 0.0  # no wall is nearer than 30 cm
    tail *= 10 ** (-direct_db / 20) / (np.linalg.norm(tail) + 1e-12)
    tail[0] = 1.0
    response: FloatArray = (tail / np.linalg.norm(tail)).astype(np.float32)
    return response


def equaliser(
    rng: np.random.Generator,
    frequencies: NDArray[np.floating[Any]],
    *,
    max_db: float,
    low_hz: float,
    high_hz: float,
) -> FloatArray:
    """Frequency response of a recording device: random bends inside a band, steep slopes outside.

    Args:
        rng: Source of the random numbers.
        frequencies: Where to evaluate the response, in Hz.
        max_db: Largest boost or cut inside the band, in dB.
        low_hz: Lower edge of the band, in Hz.
        high_hz: Upper edge of the band, in Hz.

    Shape:
        frequencies: (n_frequencies,). Returns the same, factors of the amplitude.
    """
    octaves = np.log2(np.maximum(frequencies, 20.0))
    knots = np.linspace(np.log2(50.0), np.log2(16_000.0), 6)
    gain = np.interp(octaves, knots, rng.uniform(-max_db, max_db, size=6))
    gain -= 24 * np.maximum(0, np.log2(max(low_hz, 20.0)) - octaves)
    gain -= 60 * np.maximum(0, octaves - np.log2(high_hz))
    factors: FloatArray = (10 ** (np.maximum(gain, -90) / 20)).astype(np.float32)
    return factors


def noise(rng: np.random.Generator, n_samples: int, sample_rate: int) -> FloatArray:
    """A random sound of empty rooms and of devices, with a mean power of 1.

    Coloured noise, room tone, rumble, hum with its harmonics, steady tones, a held chord, or single
    clicks, some over noise: nothing that a model should name. After `MAX_NOISE_SECONDS` one kind
    fades into the next.

    Args:
        rng: Source of the random numbers.
        n_samples: Length of the noise, in samples.
        sample_rate: Rate of the noise, in Hz.

    Shape:
        Returns (n_samples,).
    """
    longest = MAX_NOISE_SECONDS * sample_rate
    if n_samples <= longest:
        return _one_noise(rng, n_samples, sample_rate)
    n_fade = round(NOISE_FADE_SECONDS * sample_rate)
    rise = np.sin(np.linspace(0, np.pi / 2, n_fade, dtype=np.float32))  # the powers sum to 1
    wave = np.zeros(n_samples, np.float32)
    for start in range(0, n_samples, longest):
        n = min(longest + n_fade, n_samples - start)
        piece = _one_noise(rng, n, sample_rate)
        if start:
            piece[:n_fade] *= rise[:n]
        if n > longest:
            piece[longest:] *= rise[::-1][: n - longest]
        wave[start : start + n] += piece
    return wave


def _one_noise(rng: np.random.Generator, n_samples: int, sample_rate: int) -> FloatArray:
    kind = rng.choice(5, p=(0.55, 0.17, 0.08, 0.12, 0.08))
    floor = _coloured(rng, n_samples, sample_rate)
    if kind == 0:
        return _scaled(floor)
    other = (_hum, _tones, _chord, _clicks)[kind - 1](rng, n_samples, sample_rate)
    ratio = 10 ** (rng.uniform(-10, 30) / 20)
    return _scaled(_scaled(other) * ratio + _scaled(floor))


def _scaled(waveform: FloatArray) -> FloatArray:
    rms = float(np.sqrt(np.mean(np.square(waveform))))
    return (waveform / max(rms, 1e-9)).astype(np.float32)


def _coloured(rng: np.random.Generator, n_samples: int, sample_rate: int) -> FloatArray:
    """Noise whose power falls with frequency, from blue (-1) to below brown (2.5)."""
    n_fft = fft.next_fast_len(n_samples, real=True)
    hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    amplitude = np.maximum(hz, rng.uniform(10, 80)) ** (-rng.uniform(-1, 2.5) / 2)
    if rng.random() < 0.6:
        high = np.exp(rng.uniform(np.log(300), np.log(sample_rate)))
        amplitude *= equaliser(
            rng, hz, max_db=rng.uniform(0, 12), low_hz=rng.uniform(20, 200), high_hz=high
        )
    spectrum = rng.standard_normal((2, len(hz)), dtype=np.float32) * amplitude.astype(np.float32)
    spectrum[:, 0] = 0
    wave: FloatArray = fft.irfft(spectrum[0] + 1j * spectrum[1], n_fft)[:n_samples]
    return wave.astype(np.float32)


def _partials(
    rng: np.random.Generator,
    n_samples: int,
    sample_rate: int,
    hz: NDArray[Any],
    level: NDArray[Any],
) -> FloatArray:
    kept = hz < 0.48 * sample_rate
    wave = np.zeros(n_samples, np.float32)
    for f, a in zip(hz[kept], level[kept], strict=True):
        wave += np.float32(a) * _sine(f / sample_rate, rng.uniform(0, 2 * np.pi), n_samples)
    return wave


def _sine(cycles: float, phase: float, n_samples: int) -> FloatArray:
    """A sine of so many cycles per sample, (n_samples,).

    The phase after a minute has more digits than float32. So only that of the first sample of each
    row is computed, in float64, and the rest is a sum of angles, which is faster too.
    """
    turn = 2j * np.pi * cycles
    rows = np.exp(1j * phase + turn * np.arange(0, n_samples, ROW)).astype(np.complex64)[:, None]
    steps = np.exp(turn * np.arange(min(ROW, n_samples))).astype(np.complex64)
    wave: FloatArray = rows.imag * steps.real + rows.real * steps.imag
    return wave.reshape(-1)[:n_samples]


def _hum(rng: np.random.Generator, n_samples: int, sample_rate: int) -> FloatArray:
    """Mains or a fan: a low tone and its harmonics."""
    base = float(rng.choice([50, 60, 100, 120])) if rng.random() < 0.6 else rng.uniform(40, 400)
    order = np.arange(1, rng.integers(3, 14))
    level = order ** -rng.uniform(0.3, 2) * rng.uniform(0.1, 1, size=len(order))
    return _partials(rng, n_samples, sample_rate, base * order, level)


def _tones(rng: np.random.Generator, n_samples: int, sample_rate: int) -> FloatArray:
    """One to three steady tones."""
    n_tones = int(rng.integers(1, 4))
    hz = np.exp(rng.uniform(np.log(60), np.log(0.45 * sample_rate), size=n_tones))
    return _partials(rng, n_samples, sample_rate, hz, rng.uniform(0.2, 1, size=n_tones))


def _chord(rng: np.random.Generator, n_samples: int, sample_rate: int) -> FloatArray:
    """Notes of a scale, struck one after the other or held, with harmonics."""
    wave = np.zeros(n_samples, np.float32)
    length = round(rng.uniform(0.15, 2.0) * sample_rate)
    decay = rng.uniform(0.1, 3.0)
    for start in range(0, n_samples, length):
        n = min(length, n_samples - start)
        fade = np.exp(-np.arange(n, dtype=np.float32) / (decay * sample_rate))
        fade[: min(n, 160)] *= np.linspace(0, 1, min(n, 160), dtype=np.float32)
        for note in rng.choice([0, 2, 4, 5, 7, 9, 11, 12, 14, 16], size=rng.integers(1, 4)):
            order = np.arange(1, 7)
            hz = 110 * 2 ** (rng.integers(0, 3) + note / 12) * order
            wave[start : start + n] += fade * _partials(
                rng, n, sample_rate, hz, order ** -rng.uniform(0.8, 2.5)
            )
    return wave


def _clicks(rng: np.random.Generator, n_samples: int, sample_rate: int) -> FloatArray:
    """Single clicks of a recorder or a bad cable, at random times."""
    wave = np.zeros(n_samples, np.float32)
    n_clicks = int(rng.integers(1, 2 + n_samples // sample_rate))
    wave[rng.integers(0, n_samples, size=n_clicks)] = rng.uniform(-1, 1, size=n_clicks)
    if rng.random() < 0.5:
        wave = signal.lfilter([1.0], [1.0, -rng.uniform(0, 0.8)], wave).astype(np.float32)
    return wave
