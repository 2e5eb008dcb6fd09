"""`Pipeline`: from any recording to labels with scores, and the results it returns."""

from __future__ import annotations

from soundsep.pipeline.clips import cut_clips
from soundsep.pipeline.event_table import TimedEvent, read_events
from soundsep.pipeline.events import Events
from soundsep.pipeline.microphone import LiveInput, Microphone, listen
from soundsep.pipeline.pipeline import Pipeline
from soundsep.pipeline.recorded import recorded_seconds
from soundsep.pipeline.results import ClipResult, Prediction
from soundsep.pipeline.stream import Stream
from soundsep.pipeline.summary import EventSummary, summarize
from soundsep.pipeline.tabulate import to_csv, to_dataframe
from soundsep.pipeline.timeline import Event, Gap, Scores

__all__ = [
    "ClipResult",
    "Event",
    "EventSummary",
    "Events",
    "Gap",
    "LiveInput",
    "Microphone",
    "Pipeline",
    "Prediction",
    "Scores",
    "Stream",
    "TimedEvent",
    "cut_clips",
    "listen",
    "read_events",
    "recorded_seconds",
    "summarize",
    "to_csv",
    "to_dataframe",
]
