"""Measure a pipeline and a separator on clips that they never learnt from."""

from __future__ import annotations

from soundsep.evaluation.clips import Evaluation, evaluate
from soundsep.evaluation.mixtures import (
    NamingFigures,
    SeparationFigures,
    measure_naming,
    measure_separation,
)

__all__ = [
    "Evaluation",
    "NamingFigures",
    "SeparationFigures",
    "evaluate",
    "measure_naming",
    "measure_separation",
]
