"""Time of separating: soundsep beside demucs' own ``apply_model``, of the same network.

One network is that of ``htdemucs``, with random weights; the others are published separators, which
run beside their network as it was built, on the same segments. Both must give the same sources.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import sys
import time
from collections.abc import Callable

import torch
from tqdm import tqdm

from ratios import add_json_option, save_ratios
from separation_memory import htdemucs
from soundsep import Separator


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("separators", nargs="*", default=["esc50-mix2"])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the recording")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="a small network for that of htdemucs")
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ratios: dict[str, float] = {}
    print("| network | way | seconds | real-time factor | ratio |\n|---|---|---|---|---|")
    ways = {"htdemucs, random": of_demucs(arguments.seconds, small=arguments.small)}
    for name in arguments.separators:
        ways[name] = of_network(name, arguments.seconds)
    for name, runs in ways.items():
        medians = measure(runs, arguments.repetitions, name)
        (_, ours), (other, theirs) = medians.items()
        for way, seconds in medians.items():
            print(
                f"| {name} | {way} | {seconds:.2f} | {seconds / arguments.seconds:.3f} | "
                f"{seconds / theirs:.2f} |",
                flush=True,
            )
        ratios[f"{name}, soundsep / {other}"] = ours / theirs
    save_ratios(arguments.json, "separation_speed", ratios)


def of_demucs(seconds: float, *, small: bool) -> dict[str, Callable[[], object]]:
    """Soundsep and demucs with one network, in the same segments."""
    from demucs.apply import apply_model

    network = htdemucs(small=small)
    separator, rate = Separator(network), 44_100
    mixture = noise(2, round(seconds * rate))

    @torch.inference_mode()
    def theirs() -> torch.Tensor:
        return apply_model(network, mixture[None], shifts=0)[0]

    def ours() -> torch.Tensor:
        return separator(mixture, rate, progress=False).audio

    check_equal(ours(), theirs())
    return {"soundsep": ours, "demucs": theirs}


def of_network(name: str, seconds: float) -> dict[str, Callable[[], object]]:
    """A separator, and its network as it was built, alone on the same segments."""
    separator = Separator.from_pretrained(name)
    config = separator.config
    length, step = config.segment_samples, config.step_samples
    mixture = noise(config.n_channels, round(seconds * config.sample_rate))
    n_steps = max(0, math.ceil((mixture.shape[1] - length) / step))
    extended = torch.nn.functional.pad(mixture, (0, n_steps * step + length - mixture.shape[1]))
    segments = extended.unfold(1, length, step).unbind(1)
    network = copy.deepcopy(separator.network).to(memory_format=torch.contiguous_format)

    @torch.inference_mode()
    def alone() -> list[torch.Tensor]:
        return [network(part[None])[0] for part in segments]

    def ours() -> torch.Tensor:
        return separator(mixture, config.sample_rate, progress=False).audio

    # Before the second segment begins, the sources are those of the first alone.
    check_equal(ours()[..., :step], alone()[0][..., :step])
    return {"soundsep": ours, "its network alone": alone}


def noise(*shape: int) -> torch.Tensor:
    """The same at every call."""
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def check_equal(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Sources may differ by what another order of sums makes."""
    torch.testing.assert_close(ours, theirs, atol=1e-5 * theirs.abs().max().item(), rtol=0)


def measure(runs: dict[str, Callable[[], object]], n: int, name: str) -> dict[str, float]:
    """Median seconds; they take turns."""
    seconds: dict[str, list[float]] = {way: [] for way in runs}
    for repetition in tqdm(range(n + 1), desc=name, file=sys.stderr):  # the first warms up
        for way, run in runs.items():
            began = time.perf_counter()
            run()
            if repetition:
                seconds[way].append(time.perf_counter() - began)
    return {way: statistics.median(found) for way, found in seconds.items()}


if __name__ == "__main__":
    main()
