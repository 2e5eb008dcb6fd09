"""Data sets on disk, as lists of labelled clips with their folds."""

from soundsep.datasets.archives import download
from soundsep.datasets.audio_table import AudioTable
from soundsep.datasets.balance import balanced_order, class_weights
from soundsep.datasets.clip import Clip
from soundsep.datasets.concatenation import Concatenation
from soundsep.datasets.crosswalk import ESC50_TO_URBAN11, URBANSOUND8K_TO_URBAN11, crosswalk
from soundsep.datasets.esc50 import ESC50
from soundsep.datasets.fingerprint import NearDuplicate, find_near_duplicates
from soundsep.datasets.folder import AudioFolder
from soundsep.datasets.leakage import check_leakage, without_origins_of
from soundsep.datasets.memory import load_examples, load_recordings
from soundsep.datasets.mixtures import Mixture, MixtureConfig, Mixtures
from soundsep.datasets.pieces import Piece
from soundsep.datasets.scene import LONG_SCENES, Scene, SceneEvent, SoundscapeConfig
from soundsep.datasets.soundscapes import Soundscapes
from soundsep.datasets.table import TableDataset
from soundsep.datasets.truth import read_truth, true_events, write_truth
from soundsep.datasets.urban11 import Urban11
from soundsep.datasets.urbansound8k import UrbanSound8K

__all__ = [
    "ESC50",
    "ESC50_TO_URBAN11",
    "LONG_SCENES",
    "URBANSOUND8K_TO_URBAN11",
    "AudioFolder",
    "AudioTable",
    "Clip",
    "Concatenation",
    "Mixture",
    "MixtureConfig",
    "Mixtures",
    "NearDuplicate",
    "Piece",
    "Scene",
    "SceneEvent",
    "SoundscapeConfig",
    "Soundscapes",
    "TableDataset",
    "Urban11",
    "UrbanSound8K",
    "balanced_order",
    "check_leakage",
    "class_weights",
    "crosswalk",
    "download",
    "find_near_duplicates",
    "load_examples",
    "load_recordings",
    "read_truth",
    "true_events",
    "without_origins_of",
    "write_truth",
]
