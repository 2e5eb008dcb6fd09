"""Data sets on disk, as lists of labelled clips with their folds."""

from soundsep.datasets.esc50 import ESC50, Clip

__all__ = ["ESC50", "Clip"]
