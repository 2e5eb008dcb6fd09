"""How good an answer is: `classification` for labels, `separation` for separated sounds."""

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
    "average_precision",
    "calibration_error",
    "calibration_floor",
    "class_metrics",
    "classification_metrics",
    "confusion_matrix",
    "permutation_invariant",
    "reorder",
    "si_sdr",
    "si_sdr_improvement",
    "snr",
]
