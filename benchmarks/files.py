"""Clips a second from files of several formats to results, beside reading and hearing alone."""

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
from soundsep import Pipeline, load_audio

RATE, SECONDS = 44_100, 5
FORMATS = ("wav", "flac", "mp3", "m4a")
STAGES = ("a list", "a folder, lazily", "reading alone", "waveforms alone")


def main() -> None:
    """Write the files, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name of `soundsep models`, a folder, or org/repo")
    parser.add_argument("--clips", type=int, default=128, help="of each format")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--runtimes", nargs="+", default=["torch", "onnx"])
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pipes = {r: Pipeline.from_pretrained(arguments.model, runtime=r) for r in arguments.runtimes}
    ratios: dict[str, float] = {}
    print(
        f"| format, {RATE / 1e3:g} kHz | runtime | {' | '.join(f'{s}, clips/s' for s in STAGES)} |"
        " list / waveforms alone |"
    )
    print("|---|---|" + "---|" * (len(STAGES) + 1))
    with tempfile.TemporaryDirectory() as folder:
        for kind in FORMATS:
            place = Path(folder, kind)
            if not write_clips(place, kind, arguments.clips):
                continue
            for runtime, pipe in pipes.items():
                seconds = measure(make_stages(pipe, place), arguments.repetitions, kind)
                rates = " | ".join(f"{arguments.clips / seconds[stage]:.0f}" for stage in STAGES)
                ratio = seconds["a list"] / seconds["waveforms alone"]
                print(f"| {kind} | {runtime} | {rates} | {ratio:.2f} |", flush=True)
                ratios[f"{kind} to results / waveforms to results, {runtime}"] = ratio
    save_ratios(arguments.json, "files", ratios)


def make_stages(pipe: Pipeline, folder: Path) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    files = sorted(folder.iterdir())
    rate = pipe.sample_rate
    waveforms = [load_audio(file, target_rate=rate)[0] for file in files]
    return {
        "a list": lambda: pipe(files, progress=False),
        "a folder, lazily": lambda: list(pipe(folder.glob("*"), progress=False)),
        "reading alone": lambda: [load_audio(file, target_rate=rate) for file in files],
        "waveforms alone": lambda: pipe(waveforms, sample_rate=rate, progress=False),
    }


def measure(
    stages: dict[str, Callable[[], object]], n_repetitions: int, name: str
) -> dict[str, float]:
    """Median seconds of each stage; they take turns."""
    seconds: dict[str, list[float]] = {stage: [] for stage in stages}
    for repetition in tqdm(range(n_repetitions + 1), desc=name):  # the first warms up
        for stage, run in stages.items():
            began = time.perf_counter()
            run()
            if repetition:
                seconds[stage].append(time.perf_counter() - began)
    return {stage: statistics.median(found) for stage, found in seconds.items()}


def write_clips(folder: Path, kind: str, n_clips: int) -> bool:
    """Noise that becomes louder and softer; ``False`` where nothing here writes the format."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    envelope = 0.15 + 0.1 * np.sin(np.arange(SECONDS * RATE) / 5_000)
    write = write_m4a if kind == "m4a" else write_with_soundfile
    try:
        for i in range(n_clips):
            noise = np.cumsum(rng.normal(0, 0.02, SECONDS * RATE)) % 1 - 0.5
            write(folder / f"{i:04}.{kind}", (envelope * noise).astype(np.float32))
    except (ImportError, soundfile.LibsndfileError, ValueError) as error:
        print(f"{kind} is skipped: {error}", file=sys.stderr)
        return False
    return True


def write_with_soundfile(path: Path, samples: np.ndarray) -> None:
    """Wav and flac of 16 bits, and mp3."""
    soundfile.write(path, samples, RATE)


def write_m4a(path: Path, samples: np.ndarray) -> None:
    """AAC, by PyAV (extra ``formats``)."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0  # else the header would not tell the encoder's delay
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


if __name__ == "__main__":
    main()
