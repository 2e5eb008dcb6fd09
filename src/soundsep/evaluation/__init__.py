"""Measure a pipeline and a separator on clips that they were not trained on."""

from __future__ import annotations

from soundsep.evaluation.clips import Evaluation, evaluate
from soundsep.evaluation.events import EventOptions, measure_events
from soundsep.evaluation.mixtures import (
    NamingMetrics,
    SeparationMetrics,
    measure_naming,
    measure_separation,
)
from soundsep.evaluation.psds import polyphonic_scores

__all__ = [
    "Evaluation",
    "EventOptions",
    "NamingMetrics",
    "SeparationMetrics",
    "evaluate",
    "measure_events",
    "measure_naming",
    "measure_separation",
    "polyphonic_scores",
]
