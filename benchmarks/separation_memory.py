"""Peak memory of separating files of several lengths: soundsep, and demucs' own ``apply_model``.

Both run an HTDemucs of the size of ``htdemucs`` with random weights, each file in a process of its
own; with ``--small`` a quick one that hears and gives the same, for what grows with the length.
Peak memory is all that the process held at once, torch included. It needs the `resource` module, so
Linux or macOS.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from ratios import add_json_option, save_ratios

METHODS = ("soundsep", "demucs")
RATE = 44_100
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def main() -> None:
    """Run a child for each length and method, in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, nargs="+", default=[60, 120, 240])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--small", action="store_true", help="a network that takes less time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.child:
        print(*measure(*arguments.child, arguments))
        return
    print("| length, s | method | peak, MB | seconds |")
    print("|---|---|---|---|")
    peaks: dict[str, list[float]] = {method: [] for method in arguments.methods}
    with tempfile.TemporaryDirectory() as folder:
        for seconds in tqdm(arguments.seconds, desc="lengths"):
            path = write_noise(Path(folder, f"{seconds}.wav"), seconds)
            for method in arguments.methods:
                peak, took = run_child(method, path, arguments)
                peaks[method].append(peak)
                print(f"| {seconds} | {method} | {peak:.0f} | {took:.0f} |", flush=True)
    if len(arguments.seconds) > 1:
        print("\n| method | MB a minute | an hour, MB |")
        print("|---|---|---|")
        minutes = np.array(arguments.seconds) / 60
        for method, found in peaks.items():
            slope, base = np.polyfit(minutes, found, 1)
            print(f"| {method} | {slope:.1f} | {base + 60 * slope:.0f} |")
    ratios = {f"{m}, longest / shortest": found[-1] / found[0] for m, found in peaks.items()}
    save_ratios(arguments.json, "separation_memory", ratios)


def write_noise(path: Path, seconds: int) -> Path:
    """A stereo recording of that length."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for _ in range(seconds):
            file.write(rng.uniform(-0.5, 0.5, (RATE, 2)))
    return path


def run_child(method: str, path: Path, arguments: argparse.Namespace) -> tuple[float, float]:
    """Peak memory in MB and seconds of one process."""
    threads = str(arguments.threads)
    command = [sys.executable, __file__, "--child", method, str(path), "--threads", threads]
    command += ["--small"] * arguments.small
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    peak, seconds = map(float, out.split())
    return peak, seconds


def measure(method: str, path: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """Separate the file in this process."""
    import torch

    torch.set_num_threads(arguments.threads)
    network = htdemucs(small=arguments.small)
    began = time.perf_counter()
    if method == "soundsep":
        from soundsep import Separator

        Separator(network).separate_to_dir(path, f"{path}-sources", progress=False)
    else:
        from demucs.apply import apply_model

        mixture = torch.from_numpy(soundfile.read(path, dtype="float32")[0].T)
        apply_model(network, mixture[None], shifts=0)
    seconds = time.perf_counter() - began
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT / 1e6, seconds


def htdemucs(*, small: bool) -> Any:
    """The network of ``htdemucs``, 42 million weights, or a small one."""
    from demucs.htdemucs import HTDemucs

    sources = ["drums", "bass", "other", "vocals"]
    size: dict[str, int] = {"channels": 8, "t_layers": 0} if small else {"bottom_channels": 512}
    return HTDemucs(sources, segment=Fraction(39, 5), **size).eval()


if __name__ == "__main__":
    main()
