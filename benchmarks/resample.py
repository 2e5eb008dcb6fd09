"""Time and peak memory of resampling: soundsep and torchaudio, and for common rates soxr.

Common rates take turns in one process, in time of the processor; the others run in a child each.

Memory is the peak of the process above what it held before the first call. It needs the `resource`
module, so Linux or macOS.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ratios import add_json_option, save_ratios

RATES = ((44_100, 16_000), (48_000, 16_000), (11_127, 32_000))
COMMON_RATES = tuple(
    (source, target)
    for source in (44_100, 48_000, 22_050, 16_000)
    for target in (16_000, 32_000)
    if source != target
)
METHODS = ("soundsep", "torchaudio")
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def main() -> None:
    """Run a child for each method and pair of rates, in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the signal")
    parser.add_argument("--repetitions", type=int, default=5, help="processes for each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-gb", type=float, default=12.0, help="limit of a child")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.child:
        method, source, target = arguments.child
        print(json.dumps(measure(method, int(source), int(target), arguments)))
        return
    runs: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    for _ in tqdm(range(arguments.repetitions), desc="repetitions"):
        for source, target in RATES:
            for method in METHODS:
                found = run_child(method, source, target, arguments)
                runs.setdefault((source, target, method), []).append(found)
    print(
        "| rates, Hz | method | first call, s | ratio | later calls, s | ratio | peak, MB | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|")
    ratios: dict[str, float] = {}
    for source, target in RATES:
        base = medians(runs[source, target, "soundsep"])
        for method in METHODS:
            row = medians(runs[source, target, method])
            if row is None or base is None:
                cells = "out of memory | | | | |"
            else:
                cells = (
                    f"{row['first']:.3f} | {ratio(row, base, 'first')} | "
                    f"{row['later']:.3f} | {ratio(row, base, 'later')} | "
                    f"{row['peak_mb']:.0f} | {ratio(row, base, 'peak_mb')} |"
                )
                if method != "soundsep":
                    key = f"{method} / soundsep, {source} to {target} Hz"
                    ratios |= {f"{key}, {n}": row[n] / base[n] for n in ("first", "later")}
            print(f"| {source} to {target} | {method} | {cells}")
    peers = [*METHODS[1:], *(["soxr, HQ"] if is_here("soxr") else [])]
    print(f"\n| rates, Hz | a clip of 5 s: soundsep, ms | {' | '.join(_titles(peers))} |")
    print("|---|---|" + "---|---|" * len(peers))
    for source, target in COMMON_RATES:
        ours, *theirs = take_turns(source, target, arguments.threads, [METHODS[0], *peers])
        cells = " | ".join(f"{1e3 * taken:.2f} | {taken / ours:.2f}" for taken in theirs)
        print(f"| {source} to {target} | {1e3 * ours:.2f} | {cells} |")
        for peer, taken in zip(peers, theirs, strict=True):
            ratios[f"{peer} / soundsep, {source} to {target} Hz, a clip"] = taken / ours
    save_ratios(arguments.json, "resample", ratios)


def _titles(peers: list[str]) -> list[str]:
    return [title for peer in peers for title in (f"{peer}, ms", "ratio")]


def is_here(name: str) -> bool:
    """Whether a package is installed; a line says so where it is not."""
    if importlib.util.find_spec(name):
        return True
    print(f"{name} is not installed, and left out", file=sys.stderr)
    return False


def take_turns(source: int, target: int, threads: int, names: list[str]) -> list[float]:
    """Seconds of the processor that a clip of 5 s takes, of each method."""
    import torch

    torch.set_num_threads(threads)
    waveform = torch.randn(5 * source, generator=torch.Generator().manual_seed(0))
    methods = [load_method(name) for name in names]
    seconds: list[list[float]] = [[] for _ in names]
    for repetition in range(31):  # the first warms up
        for method, taken in zip(methods, seconds, strict=True):
            began = time.process_time()
            method(waveform, source, target)
            if repetition:
                taken.append(time.process_time() - began)
    return [statistics.median(taken) for taken in seconds]


def run_child(
    method: str, source: int, target: int, arguments: argparse.Namespace
) -> dict[str, float]:
    """What one process measured; nothing where it ran out of memory."""
    command = [sys.executable, __file__, "--child", method, str(source), str(target)]
    command += ["--seconds", str(arguments.seconds), "--threads", str(arguments.threads)]
    command += ["--memory-gb", str(arguments.memory_gb)]
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
    out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, float] = json.loads(out)
    return found


def medians(rows: list[dict[str, float]]) -> dict[str, float] | None:
    """Median of every figure, or None where a process ran out of memory."""
    if not all(rows):
        return None
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def ratio(row: dict[str, float], base: dict[str, float], name: str) -> str:
    """To soundsep's figure; a call that fits in what the process held before adds no memory."""
    return f"{row[name] / base[name]:.2f}" if base[name] else "-"


def measure(
    method: str, source: int, target: int, arguments: argparse.Namespace
) -> dict[str, float]:
    """Seconds of the first and of later calls, and the peak memory of the first."""
    import torch

    torch.set_num_threads(arguments.threads)
    resample = load_method(method)
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(1, round(arguments.seconds * source), generator=generator)
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + round(arguments.memory_gb * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    try:
        for call in range(4):
            began = time.perf_counter()
            resample(waveform, source, target)
            seconds.append(time.perf_counter() - began)
            if call == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    except (RuntimeError, MemoryError):
        return {}
    return {
        "first": seconds[0],
        "later": statistics.median(seconds[1:]),
        "peak_mb": peak * BYTES_PER_UNIT / 1e6,
    }


def load_method(method: str) -> Callable[..., Any]:
    """The function, with everything imported that it would import when first called."""
    if method == "torchaudio":
        from soundsep._torchaudio import torchaudio

        return torchaudio().functional.resample  # type: ignore[no-any-return]
    if method == "soxr, HQ":
        import soxr

        return lambda waveform, *rates: soxr.resample(waveform.numpy(), *rates, quality="HQ")
    from soundsep.audio import resample as ours

    return ours


if __name__ == "__main__":
    main()
