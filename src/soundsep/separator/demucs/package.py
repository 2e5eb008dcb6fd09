"""The one place that imports demucs, so that only its users notice if it is missing or broken."""

from __future__ import annotations

import importlib
from types import ModuleType

from soundsep.errors import DependencyError

__all__ = ["demucs_module"]


def demucs_module(name: str) -> ModuleType:
    """A module of the demucs package.

    Raises:
        DependencyError: demucs is missing, or cannot be imported.
    """
    try:
        return importlib.import_module(f"demucs.{name}")
    except Exception as error:  # it imports much, which can fail in any way
        raise DependencyError(
            f"this separator needs demucs, which cannot be imported: "
            f"{type(error).__name__}: {error}; repair it with: "
            'pip install --force-reinstall --no-deps "demucs>=4.1,<4.2"'
        ) from error
