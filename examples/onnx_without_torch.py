#!/usr/bin/env python3
"""Name the sounds of a wav file with an exported model, without soundsep and without torch.

    soundsep export esc50-mn04 -o model.onnx            (where soundsep is installed)
    python examples/onnx_without_torch.py model.onnx RECORDING

It needs numpy, soundfile and onnxruntime. The recording must have the model's sample rate.
"""

from __future__ import annotations

import json
import os
import shlex
import sys

import numpy as np
import soundfile
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: some versions report
import onnxruntime

N_SHOWN = 5
SILENCE = 2.0**-23  # one step of 24-bit audio: a window within one of a constant holds no sound


def offset(samples: NDArray[np.float32]) -> float:
    """The constant that the model removes: the mean, if it is a tenth of the deviation or more."""
    mean, deviation = samples.mean(dtype=np.float64), samples.std(dtype=np.float64)
    return float(mean) if abs(mean) >= 0.1 * deviation else 0.0


def padded(samples: NDArray[np.float32], length: int, padding: str) -> NDArray[np.float32]:
    """Samples extended at their end to a length, if they are shorter."""
    n_more = (0, max(0, length - samples.size))
    if padding == "reflect" and samples.size > 1:
        # np.pad's "reflect" plays a short recording back and forth, as soundsep does.
        return np.pad(samples, n_more, mode="reflect")
    return np.pad(samples, n_more, constant_values=offset(samples))


def windows(
    samples: NDArray[np.float32], length: int, hop: int, padding: str
) -> list[NDArray[np.float32]]:
    """Overlapping windows of one length; the last one ends with the recording."""
    samples = padded(samples, length, padding)
    last = samples.size - length
    return [samples[start : start + length] for start in [*range(0, last, hop), last]]


def is_silent(window: NDArray[np.float32]) -> bool:
    """Whether a window is one constant value."""
    return bool(np.ptp(window) <= 2 * SILENCE)


def raised(samples: NDArray[np.float32], rate: int, wanted_db: float) -> NDArray[np.float32]:
    """A soft recording at the level that the model names sounds at, without its offset.

    The level is that of the loudest tenth of a second after pre-emphasis.
    """
    if samples.size < 2:
        return samples
    offset, half = samples.mean(), round(0.05 * rate)
    power = (samples[1:] - 0.97 * samples[:-1] - 0.03 * offset) ** 2
    if power.size <= 2 * half:
        most = power.mean()
    else:
        sums = np.add.reduceat(power, range(0, power.size, half))
        most = (sums[1:] + sums[:-1]).max() / (2 * half)
    missing = min(wanted_db - 10 * np.log10(most), 80) if most > 0 else 0
    return np.float32(10 ** (missing / 20)) * (samples - offset) if missing > 0 else samples


def read(recording: str, about: dict[str, str]) -> NDArray[np.float32]:
    """The mean of a recording's channels, (time,), samples from -1 to 1."""
    rate = int(about["sample_rate"])
    samples, found_rate = soundfile.read(recording, dtype="float32", always_2d=True)
    if found_rate != rate:
        sys.exit(
            f"{recording} has {found_rate} Hz, the model hears {rate} Hz; convert it first, for "
            f"example: ffmpeg -i {shlex.quote(recording)} -ar {rate} converted.wav"
        )
    if not len(samples):
        sys.exit(f"{recording} holds no samples")
    if len(samples) < round(float(about["min_seconds"]) * rate):
        sys.exit(f"{recording} is shorter than {about['min_seconds']} s, too short to analyse")
    if not np.isfinite(samples).all():
        sys.exit(f"{recording} holds NaN or infinite samples")
    mono: NDArray[np.float32] = samples.mean(axis=1)
    return mono


def start(model: str) -> tuple[onnxruntime.InferenceSession, dict[str, str]]:
    """The model in ONNX Runtime, and its metadata."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session, session.get_modelmeta().custom_metadata_map


def main(model: str, recording: str) -> None:
    """Print the best labels and their scores, and with sigmoid which of them are heard."""
    session, about = start(model)
    mono, rate = read(recording, about), int(about["sample_rate"])
    length, hop = (round(float(about[name]) * rate) for name in ("window_seconds", "hop_seconds"))
    level = about.get("clip_level_db")
    named = mono if level is None else raised(mono, rate, float(level))
    cut, named_cut = (windows(one, length, hop, about["padding"]) for one in (mono, named))
    scores = [
        session.run(["probabilities"], {"waveform": window[np.newaxis]})[0][0]
        for window, own in zip(named_cut, cut, strict=True)
        if not is_silent(own)
    ]
    if not scores:
        sys.exit(f"{recording} holds nothing but digital silence")
    # A model that names any number of sounds names one that is in any window.
    pool = np.max if about["activation"] == "sigmoid" else np.mean
    pooled = pool(scores, axis=0)
    labels, thresholds = json.loads(about["labels"]), json.loads(about.get("thresholds", "[]"))
    for index in np.argsort(-pooled)[:N_SHOWN]:
        heard = "  heard" if thresholds and pooled[index] >= np.float32(thresholds[index]) else ""
        print(f"{labels[index]:<20} {pooled[index]:.3f}{heard}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
