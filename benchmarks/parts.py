"""Where the time of a clip and of a long recording goes: decode, resample, features, network, rest.

It is time of the processor on one thread, so that what is read ahead in another thread counts, too.
Each part is measured by itself, in turns with the whole; the rest is what they leave of it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from tqdm import tqdm

from ratios import add_json_option, save_ratios
from soundsep import Classifier, Pipeline, load_audio
from soundsep.audio import audio_blocks
from soundsep.audio.windows import split_windows

RATE = 44_100
BATCH = 16
BAR = 40  # characters of a whole


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name of `soundsep models`, a folder, or org/repo")
    parser.add_argument("--clips", type=int, default=32, help="of one window each")
    parser.add_argument("--seconds", type=int, default=120, help="of the long recording")
    parser.add_argument("--repetitions", type=int, default=5)
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for runtime in ("torch", "onnx"):
            pipe = Pipeline.from_pretrained(arguments.model, runtime=runtime)
            window = pipe.classifier.config.window_seconds
            clips = [Path(folder, f"{i:03}.flac") for i in range(arguments.clips)]
            for path in clips:
                write_noise(path, window)
            night = write_noise(Path(folder, "night.flac"), arguments.seconds)
            for what, stages in {
                f"{len(clips)} clips of {window:g} s": of_clips(pipe, clips),
                f"a recording of {arguments.seconds} s": of_recording(pipe, night),
            }.items():
                shares = measure(stages, arguments.repetitions, what)
                total = shares.pop("total")
                print(f"\n| {what}, {RATE} Hz FLAC, {runtime} | ms | share | |\n|---|---|---|---|")
                for part, seconds in shares.items():
                    share = seconds / total
                    bar = "█" * round(BAR * share)
                    print(f"| {part} | {1e3 * seconds:.1f} | {share:.0%} | {bar} |")
                    ratios[f"{part} / whole, {what}, {runtime}"] = share
    save_ratios(arguments.json, "parts", ratios)


def of_clips(pipe: Pipeline, paths: list[Path]) -> dict[str, Callable[[], object]]:
    """What is timed of many clips; each part holds those before it, up to the features."""
    rate, length = pipe.sample_rate, pipe.classifier.config.window_samples
    waveforms = [load_audio(path, target_rate=rate)[0] for path in paths]
    windows = torch.stack([torch.nn.functional.pad(w, (0, length))[:length] for w in waveforms])
    return {
        "decode": lambda: [load_audio(path) for path in paths],
        "resample": lambda: [load_audio(path, target_rate=rate) for path in paths],
        **of_windows(pipe, windows),
        "total": lambda: pipe(paths, batch_size=BATCH, progress=False),
    }


def of_recording(pipe: Pipeline, path: Path) -> dict[str, Callable[[], object]]:
    """What is timed of the events of a recording, whose windows overlap."""
    config, rate = pipe.classifier.config, pipe.sample_rate
    hop = config.hop_samples if pipe.classifier.frame_length is None else config.window_samples // 2
    waveform = load_audio(path, target_rate=rate)[0]
    windows = split_windows(waveform, window=config.window_samples, hop=hop, padding="zero")

    def read(target_rate: int | None) -> None:
        with audio_blocks(path, target_rate=target_rate) as blocks:
            for _ in blocks:
                pass

    return {
        "decode": lambda: read(None),
        "resample": lambda: read(rate),
        **of_windows(pipe, torch.stack(windows)),
        "total": lambda: list(pipe.events(path, batch_size=BATCH, progress=False)),
    }


def of_windows(pipe: Pipeline, windows: Tensor) -> dict[str, Callable[[], object]]:
    """Features of windows, and the network on them, as the pipeline runs them."""
    model = pipe._model
    assert isinstance(model, Classifier)
    with torch.inference_mode():
        features = model.features(windows)

    @torch.inference_mode()
    def hear(module: Callable[[Tensor], Tensor], inputs: Tensor) -> None:
        for part in inputs.split(8):
            module(part)

    return {
        "features": lambda: hear(model.features, windows),
        "network": lambda: hear(model.network, features),
    }


def measure(stages: dict[str, Callable[[], object]], n: int, name: str) -> dict[str, float]:
    """Median seconds of the processor: of each part alone, of the rest, and in total."""
    seconds: dict[str, list[float]] = {stage: [] for stage in stages}
    for repetition in tqdm(range(n + 1), desc=name):  # the first warms up
        for stage, run in stages.items():
            began = time.process_time()
            run()
            if repetition:
                seconds[stage].append(time.process_time() - began)
    found = {stage: statistics.median(taken) for stage, taken in seconds.items()}
    total = found.pop("total")
    found["resample"] = max(0.0, found["resample"] - found["decode"])
    return {**found, "rest": max(0.0, total - sum(found.values())), "total": total}


def write_noise(path: Path, seconds: float) -> Path:
    """A mono FLAC."""
    noise = np.random.default_rng(0).normal(0, 0.05, round(seconds * RATE))
    soundfile.write(path, noise, RATE)
    return path


if __name__ == "__main__":
    main()
