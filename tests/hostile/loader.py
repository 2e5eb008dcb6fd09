"""A child process: loads checkpoints with little memory, and prints what came of each.

    python loader.py FOLDER

The checkpoint ``FOLDER/good`` is loaded first. Whatever runs, writes or connects while another is
loaded is printed with it.
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

from soundsep import Classifier, ConfigError, WeightsError

MEMORY_BYTES = 256 * 2**20
SECONDS = 60
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


def main(root: Path) -> None:
    """Load all that is there."""
    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    Classifier.from_pretrained(root / "good")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    limit = int(status.split("VmSize:")[1].split()[0]) * 1024 + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.addaudithook(watch)
    for folder in sorted(root.iterdir()):
        deeds.clear()
        signal.alarm(SECONDS)
        began = time.process_time()
        try:
            Classifier.from_pretrained(folder)
            outcome = "loaded"
        except (ConfigError, WeightsError) as error:
            outcome = f"{type(error).__name__}: {error}"
        except BaseException as error:  # what this process is there to find
            outcome = f"unforeseen {type(error).__name__}: {error}"
        seconds = time.process_time() - began
        signal.alarm(0)
        report = {"outcome": outcome, "seconds": seconds, "deeds": list(deeds)}
        print(json.dumps({"name": folder.name} | report), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
