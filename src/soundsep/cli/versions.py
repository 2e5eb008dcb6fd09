"""What ``soundsep --version`` prints: all that a report of a fault has to say."""

from __future__ import annotations

import platform
from importlib import metadata

from soundsep._version import __version__

__all__ = ["versions"]

# They decode, compute or fetch. Those of extras may be missing.
PACKAGES = (
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "soundfile",
    "av",
    "onnxruntime",
    "demucs",
    "safetensors",
    "huggingface_hub",
)


def versions() -> str:
    """The version of soundsep on the first line, then those of Python, the system and packages.

    Nothing of them is imported, so that a package that fails on import is named too.
    """
    lines = [
        f"soundsep {__version__}",
        f"Python {platform.python_version()}, {platform.platform()}",
    ]
    for name in PACKAGES:
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name}: not installed")
    return "\n".join(lines)
