"""A child process: sounds of absurd rates and channels; prints what came of each, and the memory.

python rates.py SEED N
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
from decoder import memory

from soundsep import AudioError, load_audio

MAX_SAMPLES = 2**18  # before and after, so that the sound itself is small


def in_file(rate: int, n_channels: int, n_frames: int) -> bytes:
    """A WAV file of 16 bits with this header."""
    size = 2 * n_channels * n_frames
    format = struct.pack("<HHIIHH", 1, n_channels, rate, 0, 2 * n_channels, 16)
    riff = struct.pack("<4sI4s4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16)
    return riff + format + struct.pack("<4sI", b"data", size) + b"\x00\x10" * (size // 2)


def main(seed: int, n: int) -> None:
    """Draw them, the logarithms evenly; every second one within what is accepted."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    load_audio(np.zeros(441, np.float32), sample_rate=44_100, target_rate=16_000)  # imports SciPy
    baseline = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins here
    for number in range(n):
        least, most, most_channels = [(1, 2**31, 1024), (1_000, 768_000, 64)][number % 2]
        rate = int(least * (most / least) ** rng.random())
        n_channels = int(most_channels ** rng.random())
        target = int(rng.choice([16_000, 32_000, 44_100, int(1_000 * 768 ** rng.random())]))
        # No array has more channels than samples.
        n_frames = max(n_channels, int(MAX_SAMPLES / n_channels * min(1, rate / target)))
        report = {"rate": rate, "channels": n_channels, "target": target}
        try:
            if number % 4 < 2:
                waveform, _ = load_audio(
                    in_file(rate, n_channels, n_frames), target_rate=target, mono=False
                )
            else:
                sound = np.full((n_channels, n_frames), 0.125, dtype=np.float32)
                waveform, _ = load_audio(sound, sample_rate=rate, target_rate=target, mono=False)
            wanted = n_frames * target / rate
            is_right = bool(
                abs(waveform.shape[1] - wanted) < 2 + wanted * 1e-4 and waveform.isfinite().all()
            )
            report["outcome"] = "resampled" if is_right else f"{tuple(waveform.shape)}"
        except AudioError as error:
            report["outcome"] = f"refused: {error}"
        print(json.dumps(report | {"memory": memory("VmHWM") - baseline}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
