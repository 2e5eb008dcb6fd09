"""Long recordings: memory against short ones, speed against clips and against reading alone."""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import torch
from torch import Tensor

from ratios import add_json_option, save_ratios
from soundsep import Classifier, ClassifierConfig, Pipeline
from soundsep.audio import audio_blocks

RATE = 44_100
REPETITIONS = 3
RUNTIMES: tuple[Literal["torch", "onnx"], ...] = ("torch", "onnx")


class TinyClassifier(Classifier):
    """One product a window, so that what is measured is everything but the network."""

    def predict(self, waveform: Tensor) -> Tensor:
        """How loud the parts of a window are."""
        return waveform.unflatten(1, (8, -1)).abs().mean(dim=-1).clamp(max=1)


class EndlessWav(io.RawIOBase):
    """A mono WAV of 16 bits that is made as it is read: loud and quiet by turns."""

    def __init__(self, seconds: int) -> None:
        n_bytes = 2 * RATE * seconds
        empty = io.BytesIO()
        soundfile.write(empty, np.zeros(0), RATE, format="WAV", subtype="PCM_16")
        head = empty.getvalue()
        size = (len(head) - 8 + n_bytes).to_bytes(4, "little")
        self.head = head[:4] + size + head[8:-4] + n_bytes.to_bytes(4, "little")
        self.length, self.position = len(self.head) + n_bytes, 0
        rng = np.random.default_rng(0)
        gain = np.repeat([0.9, 0.01], 20 * RATE)
        self.noise = (rng.uniform(-1, 1, 40 * RATE) * gain * 2**15).astype("<i2").tobytes()

    def seekable(self) -> bool:
        """Yes, as a file on disk."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        self.position = offset + (0, self.position, self.length)[whence]
        return self.position

    def readinto(self, buffer: memoryview) -> int:
        """Make the next bytes."""
        n = min(len(buffer), self.length - self.position)
        start = self.position - len(self.head)
        source, at = (self.head, self.position) if start < 0 else (self.noise, start)
        at %= len(source)
        n = min(n, len(source) - at)
        buffer[:n] = source[at : at + n]
        self.position += n
        return n


def in_a_child(function: Callable[..., object], *arguments: object) -> object:
    """What a function gives in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def measure(seconds: int) -> tuple[int, float, float]:
    """Number of events, seconds it took, and peak memory of this process in MiB."""
    torch.set_num_threads(1)
    config = ClassifierConfig(labels=tuple("abcdefgh"), network="mn04")
    began = time.perf_counter()
    events = Pipeline(TinyClassifier(config)).events(EndlessWav(seconds), threshold=0.1)
    n_events = sum(1 for _ in events)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return n_events, took, peak / (2**20 if sys.platform == "darwin" else 2**10)


def compare_speed(name: str, n_windows: int) -> float:
    """Time of a long recording over that of its windows as clips of one batched call."""
    pipe = Pipeline.from_pretrained(name)
    config = pipe.classifier.config
    window, hop = (round(s * pipe.sample_rate) for s in (config.window_seconds, config.hop_seconds))
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 0.1, window + hop * (n_windows - 1)).astype(np.float32)
    clips = [signal[i * hop : i * hop + window] for i in range(n_windows)]
    calls = {
        "clips in batches of 16": lambda: pipe(clips, sample_rate=pipe.sample_rate, progress=False),
        "one long recording": lambda: pipe.scores(
            signal, sample_rate=pipe.sample_rate, progress=False
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPETITIONS):
        for call_name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[call_name].append(time.perf_counter() - began)
    first = statistics.median(seconds["clips in batches of 16"])
    print(f"\n| {name}, {n_windows} windows | windows/s | ratio |\n|---|---|---|")
    for call_name, values in seconds.items():
        median = statistics.median(values)
        print(f"| {call_name} | {n_windows / median:.1f} | {first / median:.2f} |")
    return statistics.median(seconds["one long recording"]) / first


def compare_reading(name: str, seconds: int) -> dict[str, float]:
    """Time of the events of a FLAC over that of reading and resampling it."""
    torch.set_num_threads(1)
    pipes = {runtime: Pipeline.from_pretrained(name, runtime=runtime) for runtime in RUNTIMES}
    rate = pipes["torch"].sample_rate
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "night.flac")
        with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
            for _ in range(seconds):
                file.write(rng.normal(0, 0.05, RATE))

        def read() -> None:
            with audio_blocks(path, target_rate=rate) as blocks:
                for _ in blocks:
                    pass

        runs: dict[str, Callable[[], object]] = {"reading alone": read}
        for runtime, pipe in pipes.items():
            runs[f"events, {runtime}"] = partial(_hear, pipe, path)
            window = pipe.classifier.config.window_seconds
            once = partial(_hear, pipe, path, hop_seconds=window)
            runs[f"events, {runtime}, every second heard once"] = once
        taken: dict[str, list[float]] = {run: [] for run in runs}
        for _ in range(REPETITIONS):
            for run, call in runs.items():
                began = time.perf_counter()
                call()
                taken[run].append(time.perf_counter() - began)
    medians = {run: statistics.median(found) for run, found in taken.items()}
    print(f"\n| {name}, FLAC of {RATE} Hz, one thread | x real time | ratio |\n|---|---|---|")
    for run, median in medians.items():
        print(f"| {run} | {seconds / median:.0f} | {median / medians['reading alone']:.2f} |")
    return {
        f"{run} / reading alone": median / medians["reading alone"]
        for run, median in medians.items()
        if run != "reading alone"
    }


def _hear(pipe: Pipeline, path: Path, hop_seconds: float | None = None) -> None:
    for _ in pipe.events(path, hop_seconds=hop_seconds, progress=False):
        pass


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="esc50-mn04-fold5", help="for the speed")
    parser.add_argument("--hours", type=float, default=10.0, help="of the long recording")
    parser.add_argument("--windows", type=int, default=160, help="for the speed")
    parser.add_argument("--flac-seconds", type=int, default=600, help="for the speed from a file")
    add_json_option(parser)
    arguments = parser.parse_args()
    first = None
    print("| recording at 44.1 kHz | events | x real time | peak memory, MiB | ratio |")
    print("|---|---|---|---|---|")
    for hours in (1 / 6, arguments.hours):
        n_events, took, peak = in_a_child(measure, round(hours * 3600))
        first = first or peak
        title = f"{hours * 60:.0f} min" if hours < 1 else f"{hours:g} h"
        speed = hours * 3600 / took
        print(
            f"| {title} | {n_events} | {speed:.0f} | {peak:.0f} | {peak / first:.3f} |", flush=True
        )
    speed = compare_speed(arguments.model, arguments.windows)
    ratios = {"memory, long / 10 min": peak / first, "time, long / clips": speed}
    ratios |= compare_reading(arguments.model, arguments.flac_seconds)
    save_ratios(arguments.json, "long_files", ratios)


if __name__ == "__main__":
    main()
