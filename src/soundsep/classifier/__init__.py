"""`Classifier`: a frontend, a network and the names of its outputs."""

from __future__ import annotations

from soundsep.classifier.classifier import Classifier
from soundsep.classifier.config import ClassifierConfig
from soundsep.classifier.protocol import ClassifierLike, ScoringSettings

__all__ = ["Classifier", "ClassifierConfig", "ClassifierLike", "ScoringSettings"]
