"""Every exception that soundsep raises on purpose."""

from __future__ import annotations

__all__ = [
    "AudioError",
    "ConfigError",
    "DatasetError",
    "DependencyError",
    "ExportError",
    "ShapeError",
    "SoundsepError",
    "WeightsError",
]


class SoundsepError(Exception):
    """Root of every error that soundsep raises on purpose."""


class ConfigError(SoundsepError, ValueError):
    """A setting, an option or a name is not one that exists or makes sense."""


class ShapeError(SoundsepError, ValueError):
    """A tensor or array has the wrong number of axes, size or dtype."""


class AudioError(SoundsepError, RuntimeError):
    """A recording cannot be read, or holds nothing that can be analysed."""


class WeightsError(SoundsepError, RuntimeError):
    """A checkpoint is missing, damaged, or not what it claims to be."""


class DatasetError(SoundsepError, RuntimeError):
    """A data set on disk is incomplete, or a split of it would leak."""


class ExportError(SoundsepError, RuntimeError):
    """A model cannot be written in another format, or would not answer there as it does here."""


class DependencyError(SoundsepError, ImportError):
    """A package that the call needs is missing, or does not fit the others."""
