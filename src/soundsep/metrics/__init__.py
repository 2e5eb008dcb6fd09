"""Metrics of classification, of events and of separation."""

from soundsep.metrics.classification import (
    ClassificationMetrics,
    ClassMetrics,
    average_precision,
    calibration_error,
    calibration_floor,
    class_metrics,
    classification_metrics,
    confusion_matrix,
)
from soundsep.metrics.events import (
    EventMetrics,
    F1Score,
    event_metrics,
)
from soundsep.metrics.intervals import independent_trials, wilson_interval
from soundsep.metrics.matching import LabelledSpan, match_by_collar, match_by_overlap
from soundsep.metrics.separation import (
    permutation_invariant,
    reorder,
    si_sdr,
    si_sdr_improvement,
    snr,
)

__all__ = [
    "ClassMetrics",
    "ClassificationMetrics",
    "EventMetrics",
    "F1Score",
    "LabelledSpan",
    "average_precision",
    "calibration_error",
    "calibration_floor",
    "class_metrics",
    "classification_metrics",
    "confusion_matrix",
    "event_metrics",
    "independent_trials",
    "match_by_collar",
    "match_by_overlap",
    "permutation_invariant",
    "reorder",
    "si_sdr",
    "si_sdr_improvement",
    "snr",
    "wilson_interval",
]
