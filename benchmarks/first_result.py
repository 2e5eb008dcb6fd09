"""Wall time of `soundsep classify one.wav` in a fresh process, beside `import torch` alone."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from ratios import add_json_option, save_ratios


def main() -> None:
    """Run both commands in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name of `soundsep models`, a folder, or org/repo")
    parser.add_argument("--file", type=Path, help="a recording; by default 5 s of noise")
    parser.add_argument("--repetitions", type=int, default=5)
    add_json_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recording = arguments.file or Path(folder, "noise.wav")
        if arguments.file is None:
            noise = np.random.default_rng(0).normal(0, 0.1, 80_000)
            soundfile.write(recording, noise, 16_000)
        classify = ["-m", "soundsep.cli", "classify", "--model", arguments.model, str(recording)]
        commands = {
            "import torch": ["-c", "import torch"],
            "import torch, torchaudio": ["-c", "import torch, torchaudio"],
            "soundsep classify one.wav": classify,
        }
        medians = measure(commands, arguments.repetitions)
    base = medians["import torch"]
    print("| command | seconds | ratio |")
    print("|---|---|---|")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds:.2f} | {seconds / base:.2f} |")
    ratio = medians["soundsep classify one.wav"] / base
    save_ratios(arguments.json, "first_result", {"classify / import torch": ratio})


def measure(commands: dict[str, list[str]], n_repetitions: int) -> dict[str, float]:
    """Median seconds of each command, in turn, after one run each that fills the file cache."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for repetition in tqdm(range(n_repetitions + 1), desc="repetitions"):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
            if repetition:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
