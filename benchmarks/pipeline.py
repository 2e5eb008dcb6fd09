"""Clips a second of a pipeline at several batch sizes: from files, from features, and between."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from tqdm import tqdm

from ratios import add_json_option, save_ratios
from soundsep import Classifier, Pipeline, load_audio
from soundsep.classifier.inference import fold_batch_norm


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name of `soundsep models`, a folder, or org/repo")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pipe = Pipeline.from_pretrained(arguments.model, device=arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        files = find_clips(arguments.clips, Path(folder))
        stages = make_stages(pipe, files)
        medians = measure(stages, arguments.batch_sizes, arguments.repetitions)
    print(f"{pipe}, {arguments.threads} threads, {arguments.device}", file=sys.stderr)
    print(f"| batch size | {' | '.join(f'{name}, clips/s (ratio)' for name in stages)} |")
    print("|---|" + "---|" * len(stages))
    for size in arguments.batch_sizes:
        cells = []
        for name in stages:
            ratio = medians[name, arguments.batch_sizes[0]] / medians[name, size]
            cells.append(f"{len(files) / medians[name, size]:.1f} ({ratio:.2f})")
        print(f"| {size} | {' | '.join(cells)} |")
    ratios = {
        f"{name} / network only, batch of {size}": medians[name, size] / medians[last, size]
        for size in arguments.batch_sizes
        for *others, last in [stages]
        for name in others
    }
    first, *_, most = [size for size in arguments.batch_sizes if size > 1] * 2
    ratios |= {
        f"{name}, batch of {most} / batch of {first}": medians[name, most] / medians[name, first]
        for name in stages
    }
    save_ratios(arguments.json, "pipeline", ratios)


def make_stages(pipe: Pipeline, files: list[Path]) -> dict[str, Callable[[int], object]]:
    """What is timed, by name: each a function of the batch size."""
    assert isinstance(pipe.classifier, Classifier)
    device = next(pipe.classifier.parameters()).device
    waveforms = [load_audio(file, target_rate=pipe.sample_rate)[0] for file in files]
    n_samples = pipe.classifier.config.window_samples
    with torch.inference_mode():
        features = pipe.classifier.features(
            torch.stack([w.repeat(-(-n_samples // len(w)))[:n_samples] for w in waveforms]).to(
                device
            )
        )

    folded = fold_batch_norm(pipe.classifier.network)  # as a pipeline runs it

    @torch.inference_mode()
    def network(size: int) -> object:
        return [folded(part).cpu() for part in features.split(size)]

    def scores(size: int) -> object:
        return pipe(waveforms, sample_rate=pipe.sample_rate, batch_size=size, progress=False)

    def results(size: int) -> object:
        return pipe(files, batch_size=size, progress=False)

    return {"files to results": results, "waveforms to results": scores, "network only": network}


def measure(
    stages: dict[str, Callable[[int], object]], sizes: list[int], n_repetitions: int
) -> dict[tuple[str, int], float]:
    """Median seconds of each stage at each batch size; all of them take turns."""
    runs = [(name, size) for size in sizes for name in stages]
    seconds: dict[tuple[str, int], list[float]] = {run: [] for run in runs}
    for repetition in tqdm(range(n_repetitions + 1), desc="repetitions"):  # the first warms up
        first = repetition % len(runs)
        for name, size in runs[first:] + runs[:first]:
            began = time.perf_counter()
            stages[name](size)
            if repetition:
                seconds[name, size].append(time.perf_counter() - began)
    return {run: statistics.median(times) for run, times in seconds.items()}


def find_clips(n_clips: int, folder: Path) -> list[Path]:
    """Clips of ESC-50 where there are any, else files of noise in ``folder``."""
    root = Path(os.environ.get("SOUNDSEP_TEST_DATA", "../shared"))
    files = sorted((root / "data/esc50-16k/audio").glob("*.flac"))[:n_clips]
    if files:
        print(f"{len(files)} clips of ESC-50", file=sys.stderr)
        return files
    rng = np.random.default_rng(0)
    for i in range(n_clips):
        soundfile.write(folder / f"{i:04}.flac", rng.normal(0, 0.1, 80_000), 16_000)
    print(f"{n_clips} clips of noise", file=sys.stderr)
    return sorted(folder.glob("*.flac"))


if __name__ == "__main__":
    main()
