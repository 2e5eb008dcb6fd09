"""A child process: loads checkpoints with little memory, calls them, prints what came of each.

    python loader.py FOLDER

The checkpoint ``FOLDER/good`` is loaded first. Whatever runs, writes or connects while another is
loaded is printed with it. What loads is then called, as by somebody who classifies a recording.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from soundsep import Classifier, ConfigError, Pipeline, SoundsepError, WeightsError

MEMORY_BYTES, CALL_BYTES = 2**28, 3 * 2**29
SECONDS = 60  # of the processor, for the machine may be busy
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
DEEDS = ("os.", "pickle.", "socket.", "subprocess.", "shutil.", "ctypes.", "import")
HARMLESS = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")

deeds: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what a checkpoint should not bring about."""
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        deeds.append(f"wrote {arguments[0]}")
    elif event.startswith(DEEDS) and event not in HARMLESS:
        deeds.append(f"{event} {arguments!r:.80}")


def call(model: Classifier) -> None:
    """Classify a recording of several windows, with the options that everybody has."""
    config = model.config
    n_samples = round((config.window_seconds + config.hop_seconds) * model.sample_rate)
    noise = torch.rand(n_samples, generator=torch.Generator().manual_seed(0)) - 0.5
    pipe, rate = Pipeline(model), model.sample_rate
    pipe(noise, sample_rate=rate)
    list(pipe.events(noise[: n_samples // 2], sample_rate=rate))


def main(root: Path) -> None:
    """Load all that is there."""
    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    call(Classifier.from_pretrained(root / "good"))
    "\ud800".encode("unicode_escape")  # imports the module that messages need
    status = Path("/proc/self/status").read_text(encoding="ascii")
    size = int(status.split("VmSize:")[1].split()[0]) * 1024
    sys.addaudithook(watch)
    for folder in sorted(root.iterdir()):
        deeds.clear()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        began = time.process_time()
        model = None
        try:
            resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, size + CALL_BYTES))
            model = Classifier.from_pretrained(folder)
            outcome = "loaded"
        except (ConfigError, WeightsError) as error:
            outcome = f"{type(error).__name__}: {error}"
        except BaseException as error:  # what this process is there to find
            outcome = f"unforeseen {type(error).__name__}: {error}"
        seconds = time.process_time() - began
        signal.setitimer(signal.ITIMER_PROF, 0)
        report = {"outcome": outcome, "seconds": seconds, "deeds": list(deeds)}
        if model is not None:
            resource.setrlimit(resource.RLIMIT_AS, (size + CALL_BYTES, size + CALL_BYTES))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                call(model)
                report["call"] = "called"
            except SoundsepError as error:
                report["call"] = f"{type(error).__name__}: {error}"
            except BaseException as error:
                report["call"] = f"unforeseen {type(error).__name__}: {error}"
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps({"name": folder.name} | report), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
