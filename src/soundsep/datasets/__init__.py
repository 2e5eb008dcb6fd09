"""Data sets on disk, as lists of labelled clips with their folds."""

from soundsep.datasets.clip import Clip
from soundsep.datasets.crosswalk import Urban11, check_leakage
from soundsep.datasets.esc50 import ESC50
from soundsep.datasets.folder import AudioFolder
from soundsep.datasets.memory import load_examples
from soundsep.datasets.urbansound8k import UrbanSound8K

__all__ = [
    "ESC50",
    "AudioFolder",
    "Clip",
    "Urban11",
    "UrbanSound8K",
    "check_leakage",
    "load_examples",
]
