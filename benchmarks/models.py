"""Milliseconds a clip of published models, from waveform to scores: PyTorch and ONNX Runtime.

A child process holds one model in one runtime with one number of threads. The children live as long
as the benchmark and work in turns; while one works the others wait, with no threads that spin.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ratios import add_json_option, save_ratios

MODELS = ("esc50-mn04", "esc50-resnet34", "audioset-mn04")
# As a pipeline runs the network, as it is trained and saved, the exported file, and a pipeline with
# runtime="onnx".
RUNTIMES = ("PyTorch", "PyTorch, not folded", "ONNX Runtime", "PyTorch and ONNX Runtime")
SECONDS = 5.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> None:
    """Export, let the children take turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, help=f"default: {' '.join(MODELS)}")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clips", type=int, default=32, help="clips of one repetition")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.child:
        answer(*arguments.child)
        return
    print("| model | threads | batch size | runtime | ms a clip | time / PyTorch | x real time |")
    print("|---|---|---|---|---|---|---|")
    ratios: dict[str, float] = {}
    for model in arguments.models:
        for line in measure(model, arguments, ratios):
            print(line, flush=True)
    save_ratios(arguments.json, "models", ratios)


def measure(model: str, arguments: argparse.Namespace, ratios: dict[str, float]) -> list[str]:
    """The rows of one model; its ratios go into ``ratios``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        export(model, file)
        children = {
            (threads, runtime): Child(
                runtime, file if runtime == "ONNX Runtime" else model, threads
            )
            for threads in arguments.threads
            for runtime in RUNTIMES
        }
        runs = [(*key, size) for size in arguments.batch_sizes for key in children]
        ms: dict[Any, list[float]] = {run: [] for run in runs}
        for repetition in tqdm(range(arguments.repetitions + 1), desc=model):  # the first warms up
            first = repetition % len(runs)
            for threads, runtime, size in runs[first:] + runs[:first]:
                n_batches = max(1, arguments.clips // size)
                found = children[threads, runtime].run(size, n_batches)
                if repetition:
                    ms[threads, runtime, size].append(found)
        for child in children.values():
            child.close()
    lines = []
    for threads in arguments.threads:
        for size in arguments.batch_sizes:
            base = statistics.median(ms[threads, "PyTorch", size])
            for runtime in RUNTIMES:
                median = statistics.median(ms[threads, runtime, size])
                if runtime != "PyTorch":
                    key = f"{model}, {runtime} / PyTorch, {threads} threads, batch of {size}"
                    ratios[key] = median / base
                lines.append(
                    f"| {model} | {threads} | {size} | {runtime} | {median:.1f} | "
                    f"{median / base:.2f} | {1e3 * SECONDS / median:.0f} |"
                )
    return lines


class Child:
    """A process that runs one model with a number of threads whenever it is asked."""

    def __init__(self, runtime: str, model: str | Path, threads: int) -> None:
        command = [sys.executable, __file__, "--child", runtime, str(model), str(threads)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)),
        )

    def run(self, batch_size: int, n_batches: int) -> float:
        """Milliseconds a clip."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps([batch_size, n_batches]), file=stdin, flush=True)
        line = stdout.readline()
        if not line:
            sys.exit(f"a child process failed: {self.process.args}")
        return float(line)

    def close(self) -> None:
        """Let it end."""
        self.process.communicate()


def answer(runtime: str, model: str, threads: str) -> None:
    """What a child does: a line of standard input asks, a line of standard output answers."""
    import numpy as np

    n_threads = int(threads)
    make = onnx_model if runtime == "ONNX Runtime" else partial(torch_model, runtime)
    predict, rate = make(model, n_threads)
    rng = np.random.default_rng(0)
    for line in sys.stdin:
        batch_size, n_batches = json.loads(line)
        clips = rng.normal(0, 0.1, (batch_size, round(SECONDS * rate))).astype(np.float32)
        predict(clips)  # wakes the threads up
        began = time.perf_counter()
        for _ in range(n_batches):
            predict(clips)
        print(1e3 * (time.perf_counter() - began) / (batch_size * n_batches), flush=True)


def torch_model(runtime: str, model: str, n_threads: int) -> tuple[Any, int]:
    """The classifier as a function of an array, and its sample rate."""
    import torch

    from soundsep import Classifier
    from soundsep.classifier.inference import InferenceCopy, fold_batch_norm
    from soundsep.devices import to_device
    from soundsep.export.network import onnx_network

    torch.set_num_threads(n_threads)
    classifier = to_device(Classifier.from_pretrained(model), "cpu")
    if runtime == "PyTorch":
        classifier = InferenceCopy(lambda c: fold_batch_norm(c.network)).of(classifier)
    elif runtime == "PyTorch and ONNX Runtime":
        classifier = InferenceCopy(onnx_network).of(classifier)

    @torch.inference_mode()
    def predict(clips: Any) -> Any:
        return classifier.predict(torch.from_numpy(clips)).numpy()

    return predict, classifier.sample_rate


def onnx_model(file: str, n_threads: int) -> tuple[Any, int]:
    """The exported file as a function of an array, and its sample rate."""
    from soundsep.export.runtime import require

    onnxruntime = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    rate = int(session.get_modelmeta().custom_metadata_map["sample_rate"])
    return lambda clips: session.run(None, {"waveform": clips})[0], rate


def export(model: str, file: Path) -> None:
    """Write the ONNX file; the check of the export sees to it that the scores are the same."""
    from soundsep import Classifier
    from soundsep.export import export_onnx

    report = export_onnx(Classifier.from_pretrained(model), file)
    print(f"{model}: scores differ by at most {report.max_difference:.1g}", file=sys.stderr)


if __name__ == "__main__":
    main()
