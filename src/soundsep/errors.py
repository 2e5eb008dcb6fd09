"""Every exception that soundsep raises on purpose, and its one warning."""

from __future__ import annotations

import sys
import warnings

__all__ = [
    "AudioError",
    "ConfigError",
    "DatasetError",
    "DependencyError",
    "ExportError",
    "ShapeError",
    "SoundsepError",
    "SoundsepWarning",
    "WeightsError",
    "warn",
]


class SoundsepError(Exception):
    """Root of every error that soundsep raises on purpose."""


class ConfigError(SoundsepError, ValueError):
    """A setting, an option or a name is unknown or invalid."""


class ShapeError(SoundsepError, ValueError):
    """A tensor or array has the wrong number of axes, size or dtype."""


class AudioError(SoundsepError, RuntimeError):
    """A recording cannot be read, or holds nothing that can be analysed."""


class WeightsError(SoundsepError, RuntimeError):
    """A checkpoint is missing, damaged, or not what it claims to be."""


class DatasetError(SoundsepError, RuntimeError):
    """A data set on disk is incomplete, or a split of it would leak."""


class ExportError(SoundsepError, RuntimeError):
    """A model cannot be written in another format, or its scores would differ there."""


class DependencyError(SoundsepError, ImportError):
    """A package that the call needs is missing, or does not fit the others."""


class SoundsepWarning(UserWarning):
    """An assumption worth checking was made; the call continues."""


def warn(message: str) -> None:
    """Issue a `SoundsepWarning` at the line outside of soundsep that led to it.

    Args:
        message: Assumption that was made, and how to avoid it.

    Warns:
        SoundsepWarning: always.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] == "soundsep":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, SoundsepWarning, stacklevel=level)
