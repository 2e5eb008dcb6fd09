"""Mel spectrogram in dB of one clip after the other: soundsep, torchaudio, librosa, nnAudio.

Beside them stand the bare Fourier transforms of the same frames, which are cut already.

Every method runs in child processes of its own, in turns: the threads that NumPy's and torch's
libraries keep spinning would otherwise slow down whichever method comes next.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ratios import add_json_option, save_ratios

RATE, N_FFT, HOP, N_MELS, F_MIN, F_MAX, TOP_DB = 16_000, 1024, 320, 64, 50.0, 8_000.0, 80.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> None:
    """Run the children in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=5, help="processes of each method")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.child, arguments.clips, arguments.threads[0])))
        return
    names = [name for name in METHODS if is_here(name)]
    print("| threads | method | ms a clip | time / soundsep | largest difference, dB |")
    print("|---|---|---|---|---|")
    ratios = {}
    for threads in arguments.threads:
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in tqdm(range(arguments.repetitions), desc=f"{threads} threads"):
            for name, found in rows.items():
                found.append(run_child(name, arguments.clips, threads))
        ms = {name: statistics.median(r["ms"] for r in found) for name, found in rows.items()}
        for name, found in rows.items():
            if name != "soundsep":
                ratios[f"{name} / soundsep, {threads} threads"] = ms[name] / ms["soundsep"]
            difference = found[0]["difference_db"]
            print(
                f"| {threads} | {name} | {ms[name]:.2f} | {ms[name] / ms['soundsep']:.2f} "
                f"| {'-' if name in TRANSFORMS else f'{difference:.1g}'} |"
            )
    save_ratios(arguments.json, "frontend", ratios)


def run_child(name: str, n_clips: int, threads: int) -> dict[str, float]:
    """What a fresh process measures for one method."""
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    command = [sys.executable, __file__, "--child", name]
    command += ["--threads", str(threads), "--clips", str(n_clips)]
    out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, float] = json.loads(out)
    return found


def measure(name: str, n_clips: int, threads: int) -> dict[str, float]:
    """Best of three passes over all clips after one that warms up, and how far it is from ours."""
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    tensors = load_clips(n_clips)
    method = METHODS[name]()
    clips = [clip[0].numpy() for clip in tensors] if name.startswith("librosa") else tensors
    if name in TRANSFORMS:
        clips = [cut_frames(clip, as_array=name != "torch.fft.rfft") for clip in tensors]
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        for clip in clips:
            method(clip)
        seconds.append(time.perf_counter() - began)
    if name in TRANSFORMS:
        return {"ms": 1e3 * min(seconds[1:]) / len(clips), "difference_db": 0.0}
    ours = soundsep_method()
    difference = max(
        float(np.abs(np.squeeze(np.asarray(method(clip))) - np.asarray(ours(tensor))[0]).max())
        for clip, tensor in zip(clips[:10], tensors[:10], strict=True)
    )
    return {"ms": 1e3 * min(seconds[1:]) / len(clips), "difference_db": difference}


def load_clips(n_clips: int) -> list[Any]:
    """Clips of ESC-50 where there are any, else noise; each a tensor (1, time)."""
    import torch

    from soundsep import load_audio

    root = Path(os.environ.get("SOUNDSEP_TEST_DATA", "../shared"))
    files = sorted((root / "data/esc50-16k/audio").glob("*.flac"))[:n_clips]
    if files:
        return [load_audio(file, target_rate=RATE)[0].unsqueeze(0) for file in files]
    generator = torch.Generator().manual_seed(0)
    return [0.1 * torch.randn(1, 5 * RATE, generator=generator) for _ in range(n_clips)]


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

    from soundsep._torchaudio import torchaudio

    transforms = torchaudio().transforms

    mel = transforms.MelSpectrogram(
        sample_rate=RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        n_mels=N_MELS,
        f_min=F_MIN,
        f_max=F_MAX,
        pad_mode="constant",
    )
    return torch.nn.Sequential(mel, transforms.AmplitudeToDB("power", top_db=TOP_DB))


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


def nnaudio_method() -> Callable[[Any], Any]:
    """Its mel spectrogram, a convolution, and torchaudio's decibels."""
    import torch
    from nnAudio.features import MelSpectrogram

    from soundsep._torchaudio import torchaudio

    mel = MelSpectrogram(
        sr=RATE,
        n_fft=N_FFT,
        n_mels=N_MELS,
        hop_length=HOP,
        fmin=F_MIN,
        fmax=F_MAX,
        htk=True,
        norm=None,
        pad_mode="constant",
        verbose=False,
    )
    return torch.nn.Sequential(
        mel, torchaudio().transforms.AmplitudeToDB("power", top_db=TOP_DB)
    ).requires_grad_(False)


def cut_frames(clip: Any, *, as_array: bool) -> Any:
    """The frames that the others transform, (frames, n_fft)."""
    import torch

    padded = torch.nn.functional.pad(clip[0], (N_FFT // 2, N_FFT // 2))
    frames = padded.unfold(0, N_FFT, HOP).contiguous()
    return frames.numpy() if as_array else frames


def torch_transform() -> Callable[[Any], Any]:
    """On as many threads as torch has."""
    import torch

    return torch.fft.rfft


def numpy_transform() -> Callable[[Any], Any]:
    """In double precision before NumPy 2, in that of the frames since."""
    import numpy as np

    return np.fft.rfft


def scipy_transform() -> Callable[[Any], Any]:
    """In the precision of the frames."""
    import scipy.fft

    return scipy.fft.rfft


def is_here(name: str) -> bool:
    """Whether the package of a method is installed; a line says so where it is not."""
    if name != "nnAudio" or importlib.util.find_spec(name):
        return True
    print(f"{name} is not installed, and left out", file=sys.stderr)
    return False


METHODS: dict[str, Callable[[], Callable[[Any], Any]]] = {
    "soundsep": soundsep_method,
    "torchaudio": torchaudio_method,
    "librosa": librosa_method,
    "librosa, filter bank reused": librosa_reusing_method,
    "nnAudio": nnaudio_method,
    "torch.fft.rfft": torch_transform,
    "numpy.fft.rfft": numpy_transform,
    "scipy.fft.rfft": scipy_transform,
}
TRANSFORMS = ("torch.fft.rfft", "numpy.fft.rfft", "scipy.fft.rfft")

if __name__ == "__main__":
    main()
