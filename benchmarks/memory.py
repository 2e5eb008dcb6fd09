"""Peak memory of a pipeline that has answered, beside that of torch alone.

Each row is a process of its own. It needs the `resource` module, so Linux or macOS.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from ratios import add_json_option, save_ratios

ANSWER = """\
import sys, torch, soundsep
model, runtime, n_threads, *files = sys.argv[1:]
torch.set_num_threads(int(n_threads))
pipe = soundsep.Pipeline.from_pretrained(model, runtime=runtime)
pipe(files, batch_size=32, progress=False)
"""
PEAK = """
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
"""  # noqa: E501
RATE, SECONDS, N_FILES = 44_100, 5, 256


def main() -> None:
    """Run the processes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name of `soundsep models`, a folder, or org/repo")
    add_json_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, f"{i:03}.wav")) for i in range(N_FILES)]
        noise = np.random.default_rng(0).normal(0, 0.1, RATE * SECONDS)
        for file in files:
            soundfile.write(file, noise, RATE)
        rows = {
            "torch": ("import sys, torch", []),
            "torch, NumPy, soundfile": ("import sys, torch, numpy, soundfile", []),
            "one file": (ANSWER, [arguments.model, "torch", "1", files[0]]),
            f"{N_FILES} files": (ANSWER, [arguments.model, "torch", "1", *files]),
            # Half of torch's threads read ahead.
            f"{N_FILES} files, 16 threads": (ANSWER, [arguments.model, "torch", "16", *files]),
            f"{N_FILES} files, ONNX Runtime": (ANSWER, [arguments.model, "onnx", "1", *files]),
        }
        peaks = {
            name: run(code, *given) for name, (code, given) in tqdm(rows.items(), desc="processes")
        }
    base = peaks["torch"]
    print("| process | peak memory, MiB | ratio |\n|---|---|---|")
    for name, peak in peaks.items():
        print(f"| {name} | {peak:.0f} | {peak / base:.2f} |")
    ratios = {f"{name} / torch": peak / base for name, peak in peaks.items() if name != "torch"}
    save_ratios(arguments.json, "memory", ratios)


def run(code: str, *arguments: str) -> float:
    """Peak memory of a process, in MiB."""
    command = [sys.executable, "-c", code + PEAK, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
