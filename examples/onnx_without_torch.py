#!/usr/bin/env python3
"""Name the sounds of a wav file with an exported model, without soundsep and without torch.

    soundsep export esc50-mn04 -o model.onnx            (where soundsep is installed)
    python examples/onnx_without_torch.py model.onnx RECORDING

It needs numpy, soundfile and onnxruntime. The recording must have the model's sample rate.
"""

from __future__ import annotations

import json
import os
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


def windows(
    samples: NDArray[np.float32], length: int, hop: int, padding: str
) -> list[NDArray[np.float32]]:
    """Overlapping windows of one length; the last one ends with the recording."""
    if samples.size < length:
        # np.pad's "reflect" plays a short recording back and forth, as soundsep does.
        n_more = (0, length - samples.size)
        if padding == "reflect" and samples.size > 1:
            samples = np.pad(samples, n_more, mode="reflect")
        else:
            samples = np.pad(samples, n_more, constant_values=offset(samples))
    last = samples.size - length
    return [samples[start : start + length] for start in [*range(0, last, hop), last]]


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


def main(model: str, recording: str) -> None:
    """Print the best labels and their scores."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    rate = int(about["sample_rate"])

    samples, found_rate = soundfile.read(recording, dtype="float32", always_2d=True)
    if found_rate != rate:
        sys.exit(
            f"{recording} has {found_rate} Hz, the model hears {rate} Hz; convert it first, for "
            f"example: ffmpeg -i {recording} -ar {rate} converted.wav"
        )
    if not len(samples):
        sys.exit(f"{recording} holds no samples")
    mono = samples.mean(axis=1)
    length, hop = (round(float(about[name]) * rate) for name in ("window_seconds", "hop_seconds"))
    level = about.get("clip_level_db")
    named = mono if level is None else raised(mono, rate, float(level))
    cut, named_cut = (windows(one, length, hop, about["padding"]) for one in (mono, named))
    scores = [
        session.run(["probabilities"], {"waveform": window[np.newaxis]})[0][0]
        for window, own in zip(named_cut, cut, strict=True)
        if np.ptp(own) > 2 * SILENCE
    ]
    if not scores:
        sys.exit(f"{recording} holds nothing but digital silence")
    # A model that names any number of sounds names one that is in any window.
    pool = np.max if about["activation"] == "sigmoid" else np.mean
    pooled = pool(scores, axis=0)
    labels = json.loads(about["labels"])
    for index in np.argsort(-pooled)[:N_SHOWN]:
        print(f"{labels[index]:<20} {pooled[index]:.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
