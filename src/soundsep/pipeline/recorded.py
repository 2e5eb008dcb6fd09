"""How long was recorded in each hour: the hours in which events could be heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from soundsep.audio import recording_start
from soundsep.audio.length import readable_seconds
from soundsep.errors import AudioError
from soundsep.pipeline.summary import Hour
from soundsep.progress import progress_bar

__all__ = ["recorded_seconds"]

MAX_SECONDS = 366 * 86_400  # of a recording; one that seems longer is damaged


def recorded_seconds(
    paths: Iterable[str], *, time_pattern: str | None = None, progress: bool = True
) -> tuple[dict[Hour, float], list[str]]:
    """Length recorded in each hour of each day, as far as the recordings can be read.

    A truncated recording counts up to where it breaks off. Such recordings are read to find that
    out, as are MP3 and the formats of the extra ``formats``, whose last sample is not found
    otherwise; of all others only the end is read.

    Args:
        paths: The recordings.
        time_pattern: Format of the time in their names (`soundsep.audio.recording_start`).
        progress: Show a progress bar, if there is a terminal.

    Returns:
        The seconds, and the recordings that state no time, or hold nothing that can be read.
    """
    seconds: dict[Hour, float] = {}
    strangers = []
    for path in progress_bar([*paths], progress=progress, unit="file", desc="measuring"):
        start = recording_start(path, pattern=time_pattern)
        length = 0.0
        if start is not None:
            with suppress(AudioError):
                length = readable_seconds(path)
        if start is None or not 0 < length <= MAX_SECONDS:
            strangers.append(path)
            continue
        for hour, part in _split(start.replace(tzinfo=None), length):
            seconds[hour] = seconds.get(hour, 0.0) + part
    return seconds, strangers


def _split(start: datetime, seconds: float) -> Iterator[tuple[Hour, float]]:
    """The parts of a time span that lie in each hour."""
    while seconds > 0:
        top = start.replace(minute=0, second=0, microsecond=0)
        part = min(seconds, 3600 - (start - top).total_seconds())
        yield (start.date(), start.hour), part
        start, seconds = top + timedelta(hours=1), seconds - part
