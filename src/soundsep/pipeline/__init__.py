"""`Pipeline`: from any recording to named, scored labels, and what it answers."""

from __future__ import annotations

from soundsep.pipeline.microphone import Microphone, listen
from soundsep.pipeline.pipeline import Pipeline
from soundsep.pipeline.results import ClipResult, Event, Gap, Prediction, Scores
from soundsep.pipeline.stream import Stream

__all__ = [
    "ClipResult",
    "Event",
    "Gap",
    "Microphone",
    "Pipeline",
    "Prediction",
    "Scores",
    "Stream",
    "listen",
]
