"""A child process: reads broken recordings with little memory, and prints what came of each.

    python decoder.py SEED FIRST LAST

It prints a line of JSON before each case and one after it, so that the last line of a process that
died names the case. A case that takes too long ends the process by a signal.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from by_ffmpeg import compare, demuxer_of, heard_by_ffmpeg
from corpus import KINDS, Case, case

from soundsep import AudioError, load_audio
from soundsep.audio import audio_blocks

MEMORY_BYTES = 256 * 2**20  # more than the process has before it reads the first file
SECONDS = 5  # of computing
SECONDS_OF_WAITING = 60  # by the clock, on a machine that is busy


def read(broken: Case, number: int, folder: Path) -> str:
    """What came of it: ``"read"``, ``"refused"``, or what should not have happened."""
    turn = number // len(KINDS)
    audio: Path | bytes = broken.data
    if turn % 4 == 0:
        audio = folder / f"clip{broken.suffix}"
        audio.write_bytes(broken.data)
    try:
        waveform, _ = load_audio(
            audio, mono=turn % 2 == 0, target_rate=16_000 if turn % 3 == 0 else None
        )
    except AudioError as error:
        return "refused" if "; " in str(error) or ": " in str(error) else f"says only: {error}"
    except Exception as error:  # what this process is there to find
        return f"{type(error).__name__}: {error}"
    if waveform.numel() == 0:
        return f"an empty result, {tuple(waveform.shape)}"
    return "read" if waveform.isfinite().all() else "NaN or Inf"


def in_blocks(broken: Case, number: int) -> str:
    """``""``, or how the blocks joined are not the whole; which fault is met first may differ."""
    size = (1, 100, 1024, 4099, 2**17)[number // len(KINDS) % 5]
    blocks = []
    try:
        blocks.extend(audio_blocks(broken.data, mono=False, block_samples=max(size, 64)))
    except AudioError as error:
        found = f"refused ({error})"
    else:
        found = ""
    try:
        whole, _ = load_audio(broken.data, mono=False)
    except AudioError as error:
        return "" if found else f"read in blocks of {size}, and as a whole refused ({error})"
    if found:
        return f"{found} in blocks of {size}, and read as a whole"
    return "" if torch.equal(torch.cat(blocks, dim=1), whole) else f"blocks of {size} differ"


def against_ffmpeg(broken: Case) -> str:
    """How a recording that was read compares to what FFmpeg makes of it; ``""`` if it does not."""
    demuxer = demuxer_of(broken.container, broken.subtype)
    theirs = None if demuxer is None else heard_by_ffmpeg(broken.data, demuxer)
    if theirs is None:
        return ""
    ours, rate = load_audio(broken.data, mono=False)
    return compare(ours.numpy().T, rate, *theirs, broken.subtype)


def memory(field: str) -> int:
    """A figure of this process in bytes, by its name in Linux's status file."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def main(seed: int, first: int, last: int) -> None:
    """Read the cases from ``first`` on, up to but without ``last``."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    load_audio(np.zeros(441, np.float32), sample_rate=44_100, target_rate=16_000)  # imports SciPy
    baseline = memory("VmSize")
    limit = baseline + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            broken = case(seed, number)
            print(json.dumps({"number": number, "name": broken.name}), flush=True)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.setitimer(signal.ITIMER_REAL, SECONDS_OF_WAITING)
            began = time.process_time()
            outcome = read(broken, number, Path(folder))
            seconds = time.process_time() - began
            if outcome in ("read", "refused") and (wrong := in_blocks(broken, number)):
                outcome = wrong
            opinion = against_ffmpeg(broken) if outcome == "read" else ""
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            report = {"kind": broken.kind, "outcome": outcome, "opinion": opinion}
            print(json.dumps(report | {"seconds": round(seconds, 3)}))
    print(json.dumps({"memory": memory("VmPeak") - baseline}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
