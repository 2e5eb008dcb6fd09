"""soundsep: identify the sounds in a recording.

The public names are loaded when they are first used: ``import soundsep`` itself is quick and
imports neither torch nor torchaudio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from soundsep._version import __version__

if TYPE_CHECKING:
    from soundsep.audio import load_audio
    from soundsep.checkpoints import list_models
    from soundsep.classifier import Classifier, ClassifierConfig
    from soundsep.errors import (
        AudioError,
        ConfigError,
        DatasetError,
        DependencyError,
        ExportError,
        ShapeError,
        SoundsepError,
        SoundsepWarning,
        WeightsError,
    )
    from soundsep.examples import example, list_examples
    from soundsep.frontends import MelConfig, MelFrontend
    from soundsep.pipeline import (
        ClipResult,
        Event,
        Events,
        Gap,
        Pipeline,
        Prediction,
        Scores,
        to_csv,
        to_dataframe,
    )
    from soundsep.report import write_report
    from soundsep.separator import Separation, Separator, SeparatorConfig
    from soundsep.training import FitReport, fit

__all__ = [
    "AudioError",
    "Classifier",
    "ClassifierConfig",
    "ClipResult",
    "ConfigError",
    "DatasetError",
    "DependencyError",
    "Event",
    "Events",
    "ExportError",
    "FitReport",
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
    "SoundsepWarning",
    "WeightsError",
    "__version__",
    "example",
    "fit",
    "list_examples",
    "list_models",
    "load_audio",
    "to_csv",
    "to_dataframe",
    "write_report",
]

_MODULE_OF = {
    "example": "examples",
    "fit": "training",
    "list_examples": "examples",
    "list_models": "checkpoints",
    "load_audio": "audio",
    "Classifier": "classifier",
    "ClassifierConfig": "classifier",
    "ClipResult": "pipeline",
    "Event": "pipeline",
    "Events": "pipeline",
    "FitReport": "training",
    "Gap": "pipeline",
    "MelConfig": "frontends",
    "MelFrontend": "frontends",
    "Pipeline": "pipeline",
    "Prediction": "pipeline",
    "Scores": "pipeline",
    "Separation": "separator",
    "Separator": "separator",
    "SeparatorConfig": "separator",
    "to_csv": "pipeline",
    "to_dataframe": "pipeline",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = importlib.import_module(f"soundsep.{_MODULE_OF.get(name, 'errors')}")
        return getattr(module, name)
    raise AttributeError(f"module 'soundsep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
