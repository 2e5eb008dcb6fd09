"""Mel spectrogram in dB of one clip after the other: soundsep, torchaudio, librosa.

Every thread count runs in a child process of its own, because the thread pools of NumPy's and
torch's libraries are sized when they are loaded. Within a child the methods take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATE, N_FFT, HOP, N_MELS, F_MIN, F_MAX, TOP_DB = 16_000, 1024, 320, 64, 50.0, 8_000.0, 80.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> None:
    """Run a child for each thread count and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.clips, arguments.repetitions, arguments.threads[0])))
        return
    print("| threads | method | ms a clip | time / soundsep | largest difference, dB |")
    print("|---|---|---|---|---|")
    for threads in arguments.threads:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        command = [sys.executable, __file__, "--child", "--threads", str(threads)]
        command += ["--clips", str(arguments.clips), "--repetitions", str(arguments.repetitions)]
        out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
        found = json.loads(out)
        print(f"{threads} threads: {found['source']}", file=sys.stderr)
        for name, row in found["methods"].items():
            ratio = row["seconds"] / found["methods"]["soundsep"]["seconds"]
            milliseconds = 1e3 * row["seconds"] / found["clips"]
            print(
                f"| {threads} | {name} | {milliseconds:.2f} | {ratio:.2f} "
                f"| {row['difference_db']:.1g} |"
            )


def measure(n_clips: int, n_repetitions: int, threads: int) -> dict[str, Any]:
    """Median time of each method over all clips, in this process."""
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    source, tensors = load_clips(n_clips)
    arrays = [tensor[0].numpy() for tensor in tensors]
    methods: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
        "soundsep": (soundsep_method(), tensors),
        "torchaudio": (torchaudio_method(), tensors),
        "librosa": (librosa_method(), arrays),
        "librosa, filter bank reused": (librosa_reusing_method(), arrays),
    }
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    names = list(methods)
    for repetition in range(n_repetitions + 1):  # the first one warms up
        first = repetition % len(names)
        for name in names[first:] + names[:first]:
            method, clips = methods[name]
            began = time.perf_counter()
            for clip in clips:
                method(clip)
            if repetition:
                seconds[name].append(time.perf_counter() - began)
    ours = [np.asarray(methods["soundsep"][0](clip))[0] for clip in tensors[:10]]
    return {
        "source": source,
        "clips": len(tensors),
        "methods": {
            name: {
                "seconds": statistics.median(seconds[name]),
                "difference_db": max(
                    float(np.abs(np.squeeze(np.asarray(method(clip))) - own).max())
                    for clip, own in zip(clips[:10], ours, strict=True)
                ),
            }
            for name, (method, clips) in methods.items()
        },
    }


def load_clips(n_clips: int) -> tuple[str, list[Any]]:
    """Where the clips are from, and each as a tensor (1, time)."""
    import torch

    from soundsep import load_audio

    root = Path(os.environ.get("SOUNDSEP_TEST_DATA", "../shared"))
    files = sorted((root / "data/esc50-16k/audio").glob("*.flac"))[:n_clips]
    if files:
        clips = [load_audio(file, target_rate=RATE)[0].unsqueeze(0) for file in files]
        return f"{len(files)} clips of ESC-50", clips
    generator = torch.Generator().manual_seed(0)
    noise = [0.1 * torch.randn(1, 5 * RATE, generator=generator) for _ in range(n_clips)]
    return f"{n_clips} clips of noise", noise


def soundsep_method() -> Callable[[Any], Any]:
    """The frontend without its scaling, which the others do not have."""
    from soundsep import MelConfig, MelFrontend

    config = MelConfig(
        sample_rate=RATE,
        n_fft=N_FFT,
        win_length=N_FFT,
        hop_length=HOP,
        n_mels=N_MELS,
        f_min=F_MIN,
        f_max=F_MAX,
        top_db=TOP_DB,
        scaling="none",
    )
    return MelFrontend(config)


def torchaudio_method() -> Callable[[Any], Any]:
    """Its two transforms, one after the other."""
    import torch
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    mel = MelSpectrogram(
        sample_rate=RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        n_mels=N_MELS,
        f_min=F_MIN,
        f_max=F_MAX,
        pad_mode="constant",
    )
    return torch.nn.Sequential(mel, AmplitudeToDB("power", top_db=TOP_DB))


def librosa_method() -> Callable[[Any], Any]:
    """The usual two calls; the first builds the filter bank anew each time."""
    import librosa

    def method(clip: Any) -> Any:
        mel = librosa.feature.melspectrogram(
            y=clip,
            sr=RATE,
            n_fft=N_FFT,
            hop_length=HOP,
            n_mels=N_MELS,
            fmin=F_MIN,
            fmax=F_MAX,
            htk=True,
            norm=None,
        )
        return librosa.power_to_db(mel, top_db=TOP_DB)

    return method


def librosa_reusing_method() -> Callable[[Any], Any]:
    """The same steps with a filter bank that is built once."""
    import librosa
    import numpy as np

    bank = librosa.filters.mel(
        sr=RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX, htk=True, norm=None
    )

    def method(clip: Any) -> Any:
        power = np.abs(librosa.stft(clip, n_fft=N_FFT, hop_length=HOP)) ** 2
        return librosa.power_to_db(bank @ power, top_db=TOP_DB)

    return method


if __name__ == "__main__":
    main()
