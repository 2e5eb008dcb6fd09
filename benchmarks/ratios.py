"""What a benchmark measured, as JSON: ratios within one run, and where they were measured."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from soundsep._version import __version__

__all__ = ["add_json_option", "machine", "save_ratios"]

PACKAGES = (
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "librosa",
    "soxr",
    "nnAudio",
    "onnxruntime",
    "demucs",
)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """The option that every benchmark has."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratios there, too")


def save_ratios(path: Path | None, benchmark: str, ratios: Mapping[str, float]) -> None:
    """Write the ratios of one benchmark, unless ``path`` is ``None``.

    Args:
        path: Of the file.
        benchmark: Its name.
        ratios: By what was divided by what; each of two things that took turns in one run.
    """
    if path is not None:
        rounded = {name: round(ratio, 4) for name, ratio in ratios.items()}
        content = {**machine(), "ratios": {benchmark: rounded}}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """When, where and with what was measured."""
    return {
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.system(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _versions() -> dict[str, str]:
    found = {"soundsep": __version__}  # of the code that ran, whatever is installed beside it
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
