"""The events of one recording, as they become certain."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundsep.audio import AudioInput, audio_blocks, recording_start
from soundsep.audio.inputs import name_of
from soundsep.errors import AudioError
from soundsep.names import printable
from soundsep.pipeline.hearing import silence_error
from soundsep.pipeline.stream import Stream
from soundsep.pipeline.tables import Table, clock_time
from soundsep.pipeline.timeline import Event
from soundsep.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EVENT_COLUMNS", "Events", "event_row", "find_events"]

EVENT_COLUMNS = ("path", "start_seconds", "end_seconds", "label", "score", "start_time")


def event_row(event: Event, path: str | None, start: datetime | None) -> dict[str, Any]:
    """An event as a row of a table, with the time of day if the recording states its start."""
    when = clock_time(start, event.start_seconds)
    return {"path": path, **event.to_dict(), "start_time": when}


class Events(Iterator[Event]):
    """An iterator over the events of one recording by start; see `soundsep.Pipeline.events`.

    The recording is read only as far as its events are consumed; each event comes once.

    Args:
        events: Generator of the events, by start.
        path: Path or name of the recording, if it has one.
    """

    def __init__(self, events: Generator[Event], path: str | None) -> None:
        self._events, self.path = events, path

    @cached_property
    def start_time(self) -> datetime | None:
        """When the recording began, if it states that; see `soundsep.audio.recording_start`."""
        return None if self.path is None else recording_start(self.path)

    def __iter__(self) -> Events:
        """Itself."""
        return self

    def __next__(self) -> Event:
        """The next event."""
        return next(self._events)

    def close(self) -> None:
        """Close the recording before its end."""
        self._events.close()

    def __repr__(self) -> str:
        """That it is an iterator, and of which recording."""
        return f"Events({printable(self.path or 'recording')}: an iterator; list() gives them all)"

    def _table(self) -> Table:
        return Table(EVENT_COLUMNS, (event_row(e, self.path, self.start_time) for e in self))

    def to_dataframe(self) -> pd.DataFrame:
        """The remaining events, one per row: path, times, label, score and time of day.

        Raises:
            AudioError: the recording cannot be read.
            DependencyError: pandas is not installed.
        """
        return self._table().to_dataframe()

    def to_csv(self, path: str | Path) -> None:
        """Write the table of `to_dataframe`, whole or not at all; pandas is not needed.

        Args:
            path: A file; an existing one is replaced.

        Raises:
            AudioError: the recording cannot be read.
            ConfigError: the file cannot be written.
        """
        self._table().to_csv(path)


def find_events(
    stream: Stream,
    audio: AudioInput,
    *,
    sample_rate: int | None,
    progress: bool,
    channel: int | None,
    may_be_silent: bool,
) -> Generator[Event]:
    """Events of a whole recording, ordered by their start, as they become certain.

    Args:
        stream: A stream at the classifier's rate.
        audio: A recording of any length.
        sample_rate: Rate of an array, in Hz; that of the stream by default.
        progress: Show a progress bar, if there is a terminal.
        channel: The only channel used.
        may_be_silent: Accept digital silence.

    Raises:
        AudioError: the recording cannot be read, is shorter than one analysis frame, or silent.
    """
    waiting: list[tuple[float, int, Event]] = []  # until no earlier event can come
    n_events = 0

    def released(events: list[Event], until: float) -> Iterator[Event]:
        nonlocal n_events
        for event in events:
            n_events += 1
            heapq.heappush(waiting, (event.start_seconds, n_events, event))
        while waiting and waiting[0][0] <= until:
            yield heapq.heappop(waiting)[2]

    with (
        audio_blocks(
            audio, sample_rate=sample_rate, target_rate=stream.sample_rate, channel=channel
        ) as blocks,
        progress_bar(
            total=blocks.duration_seconds and round(blocks.duration_seconds),
            unit="s",
            desc="listening",
            progress=progress,
        ) as bar,
    ):
        try:
            for block in blocks:
                yield from released(stream.push_mono(block), stream.certain_until_seconds)
                bar.update(int(stream.duration_seconds) - bar.n)
        except AudioError:
            yield from released(stream.flush(), float("inf"))  # what was heard before the damage
            raise
        shortest = stream.min_seconds
        if stream.duration_seconds < shortest:
            raise AudioError(
                f"{name_of(audio)} is too short to analyse: {stream.duration_seconds:.4f} s, at "
                f"least {shortest:.3f} s are needed"
            )
        last = stream.flush()
        if stream.is_silent and not may_be_silent:
            raise silence_error(audio)
        yield from released(last, float("inf"))
