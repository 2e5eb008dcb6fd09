"""Data sets on disk, as lists of labelled clips with their folds."""

from soundsep.datasets.esc50 import ESC50, Clip
from soundsep.datasets.folder import AudioFolder
from soundsep.datasets.memory import load_examples

__all__ = ["ESC50", "AudioFolder", "Clip", "load_examples"]
