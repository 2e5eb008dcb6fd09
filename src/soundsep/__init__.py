"""soundsep: find out what is to be heard in a recording.

The public names are loaded when they are first used: ``import soundsep`` itself is quick and
imports neither torch nor torchaudio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundsep.audio import load_audio
    from soundsep.classifier import Classifier, ClassifierConfig
    from soundsep.errors import (
        AudioError,
        ConfigError,
        DatasetError,
        DependencyError,
        ExportError,
        ShapeError,
        SoundsepError,
        WeightsError,
    )
    from soundsep.frontends import MelConfig, MelFrontend
    from soundsep.pipeline import Pipeline
    from soundsep.pipeline.results import ClipResult, Event, Gap, Prediction, Scores
    from soundsep.separator import Separation, Separator, SeparatorConfig

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "Classifier",
    "ClassifierConfig",
    "ClipResult",
    "ConfigError",
    "DatasetError",
    "DependencyError",
    "Event",
    "ExportError",
    "Gap",
    "MelConfig",
    "MelFrontend",
    "Pipeline",
    "Prediction",
    "Scores",
    "Separation",
    "Separator",
    "SeparatorConfig",
    "ShapeError",
    "SoundsepError",
    "WeightsError",
    "__version__",
    "load_audio",
]

_MODULE_OF = {
    "load_audio": "audio",
    "Classifier": "classifier",
    "ClassifierConfig": "classifier",
    "ClipResult": "pipeline",
    "Event": "pipeline",
    "Gap": "pipeline",
    "MelConfig": "frontends",
    "MelFrontend": "frontends",
    "Pipeline": "pipeline",
    "Prediction": "pipeline",
    "Scores": "pipeline",
    "Separation": "separator",
    "Separator": "separator",
    "SeparatorConfig": "separator",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = importlib.import_module(f"soundsep.{_MODULE_OF.get(name, 'errors')}")
        return getattr(module, name)
    raise AttributeError(f"module 'soundsep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
