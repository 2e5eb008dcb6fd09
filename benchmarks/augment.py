"""Seconds that each augmentation step takes for a batch, on one thread, every clip changed."""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from ratios import add_json_option, save_ratios
from soundsep.augment import (
    Gain,
    Mask,
    Mixup,
    Noise,
    PitchShift,
    Polarity,
    RandomCrop,
    Roll,
    TimeStretch,
)

REPETITIONS = 5


def main() -> None:
    """Time the steps in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    waveform = torch.randn(32, 80_000, generator=torch.Generator().manual_seed(0))
    features = waveform[:, :16_000].reshape(32, 64, 250)
    targets = torch.eye(32)
    calls = {
        **{
            type(step).__name__: (lambda step=step: step.apply(waveform, rng))
            for step in (
                PitchShift(probability=1.0),
                TimeStretch(probability=1.0),
                Noise(probability=1.0),
                Gain(),
                Polarity(probability=1.0),
                Roll(),
                RandomCrop(length=40_000),
            )
        },
        "Mixup": lambda: Mixup(probability=1.0).apply(waveform, targets, rng),
        "Mask": lambda: Mask().apply(features, rng),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPETITIONS):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    slowest = max(medians.values())
    print("| step | seconds for 32 clips of 5 s at 16 kHz | ratio to the slowest |")
    print("|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.3f} | {median / slowest:.2f} |")
    # What takes a millisecond moves too much from run to run to be compared.
    slow = {name: median / slowest for name, median in medians.items() if median > 0.02 * slowest}
    save_ratios(arguments.json, "augment", {f"{n} / slowest step": r for n, r in slow.items()})


if __name__ == "__main__":
    main()
