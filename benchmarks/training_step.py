"""Processor time of one training step of each recipe's network, on one thread.

Layouts and kinds of numbers take turns. `soundsep train` uses channels last, and bfloat16 where the
recipe says so. Start it once as it is and once with

    GLIBC_TUNABLES=glibc.malloc.mmap_threshold=17179869184:glibc.malloc.trim_threshold=17179869184

to see what it is worth that memory once fetched from the system is kept (GNU libc only).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ratios import add_json_option, save_ratios
from soundsep import Classifier, ClassifierConfig
from soundsep.training import Recipe, get_recipe

REPETITIONS = 5
N_CLASSES = 50
NAMES = ("esc50-crop-cnn4", "esc50-crop-cnn8", "esc50-cnn-mel", "esc50-cnn-wave", "esc50-aclnet")


def features_of(recipe: Recipe) -> tuple[nn.Module, Tensor]:
    """The network of a recipe, and the features of a batch of noise."""
    config = ClassifierConfig(
        labels=tuple(map(str, range(N_CLASSES))),
        network=recipe.network,
        frontend=recipe.frontend,
        window_seconds=recipe.window_seconds,
        hop_seconds=recipe.window_seconds,
    )
    model = Classifier(config)
    noise = torch.randn(32, round(recipe.window_seconds * model.sample_rate))
    with torch.no_grad():
        return model.network.train(), model.features(noise)


def step_of(recipe: Recipe, layout: torch.memory_format, *, bfloat16: bool) -> Callable[[], None]:
    """One step of training, ready to be called."""
    network, features = features_of(recipe)
    network.to(memory_format=layout)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    targets = torch.arange(32)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = network(features)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.float(), targets).backward()
        optimizer.step()

    return step


def main() -> None:
    """Time every network, and print a row for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, metavar="RECIPE")
    add_json_option(parser)
    arguments = parser.parse_args()
    names, ratios = arguments.names, {}
    torch.set_num_threads(1)
    kinds = {
        "channels last, bfloat16": (torch.channels_last, True),
        "contiguous, bfloat16": (torch.contiguous_format, True),
        "channels last, float32": (torch.channels_last, False),
        "contiguous, float32": (torch.contiguous_format, False),
    }
    print(
        "| recipe | " + " | ".join(f"{kind}, s" for kind in kinds) + " | ratio of the first two |"
    )
    print("|---|" + "---|" * (len(kinds) + 1))
    for name in names:
        steps = {k: step_of(get_recipe(name), v[0], bfloat16=v[1]) for k, v in kinds.items()}
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for repetition in range(REPETITIONS + 1):  # the first is to warm up
            for kind, step in steps.items():
                began = time.process_time()
                step()
                if repetition:
                    seconds[kind].append(time.process_time() - began)
        medians = [statistics.median(values) for values in seconds.values()]
        for kind, median in list(zip(kinds, medians, strict=True))[1:]:
            ratios[f"{name}, {kind} / {next(iter(kinds))}"] = median / medians[0]
        figures = " | ".join(f"{median:.2f}" for median in medians)
        print(f"| `{name}` | {figures} | {medians[1] / medians[0]:.2f} |", flush=True)
    save_ratios(arguments.json, "training_step", ratios)


if __name__ == "__main__":
    main()
