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
SILENCE = 2.0**-23  # one step of 24-bit audio: a window that never exceeds it holds no sound


def windows(
    samples: NDArray[np.float32], length: int, hop: int, padding: str
) -> list[NDArray[np.float32]]:
    """Overlapping windows of one length; the last one ends with the recording."""
    if samples.size < length:
        # np.pad's "reflect" plays a short recording back and forth, as soundsep does.
        mode = "reflect" if padding == "reflect" and samples.size > 1 else "constant"
        samples = np.pad(samples, (0, length - samples.size), mode=mode)
    last = samples.size - length
    return [samples[start : start + length] for start in [*range(0, last, hop), last]]


def raising_gain(samples: NDArray[np.float32], rate: int, wanted_db: float) -> float:
    """Factor that raises a soft recording to the level that the model names sounds at.

    It is that of the loudest tenth of a second after pre-emphasis.
    """
    power = (samples[1:] - 0.97 * samples[:-1]) ** 2
    half = round(0.05 * rate)
    sums = power[: power.size // half * half].reshape(-1, half).sum(axis=1)
    most = (sums[1:] + sums[:-1]).max() / (2 * half) if sums.size > 1 else power.mean()
    missing = wanted_db - 10 * np.log10(max(most, 1e-30))
    return float(10 ** (np.clip(missing, 0, 80) / 20))


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
    mono = samples.mean(axis=1)
    if np.abs(mono).max(initial=0.0) <= SILENCE:
        sys.exit(f"{recording} holds nothing but digital silence")
    length, hop = (round(float(about[name]) * rate) for name in ("window_seconds", "hop_seconds"))
    level = about.get("clip_level_db")
    gain = np.float32(1 if level is None else raising_gain(mono, rate, float(level)))
    scores = [
        session.run(["probabilities"], {"waveform": gain * window[np.newaxis]})[0][0]
        for window in windows(mono, length, hop, about["padding"])
        if np.abs(window).max() > SILENCE
    ]
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
