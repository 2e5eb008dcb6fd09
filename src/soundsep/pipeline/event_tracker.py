"""Events from scores over time, with hysteresis and merging, as the scores arrive."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.classifier.checks import reaches
from soundsep.config import check_number
from soundsep.pipeline.timeline import Event

__all__ = ["EventRules", "EventTracker"]

RELEASE = 0.5  # share of the threshold: a sound goes on while its score stays above it
MAX_SECONDS = 3600  # so that an endless sound is reported and does not delay others


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRules:
    """What counts as one event.

    Attributes:
        threshold: Score that a window or frame must reach for an event to begin; above 0, at most
            1. One for all labels, or one per label.
        min_duration_seconds: Drop shorter events.
        merge_gap_seconds: Merge events of one label that are at most this far apart.
        min_score: Drop events with a lower score.
        labels: Report events of these labels only; ``None`` for all.
    """

    threshold: float | tuple[float, ...] = 0.5
    min_duration_seconds: float = 0.0
    merge_gap_seconds: float = 1.0
    min_score: float = 0.0
    labels: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is out of range.
        """
        each = self.threshold if isinstance(self.threshold, tuple) else (self.threshold,)
        for value in each:
            check_number("threshold", value, above=0, most=1)
        for name in ("min_duration_seconds", "merge_gap_seconds"):
            check_number(name, getattr(self, name), least=0, below=MAX_SECONDS)


@dataclass(slots=True)
class _Open:
    """An event that may still continue, or be merged with the next; in samples."""

    start: int
    end: int
    score: float
    trim: int  # how much later than `start` the event begins
    trim_end: int  # how much earlier than `end` the event ends
    is_rest: bool = False  # the rest of an event that was cut
    released: bool = False


class EventTracker:
    """Follows every label through a recording and reports each event once it is certain.

    An event begins and ends with a row whose score reaches the label's threshold. In between the
    score may fall to half the threshold for any time, and below that for at most the gap that is
    merged. The ends of an event, except at the ends of the recording, are then trimmed as long as
    one row is left. Events with at most the gap between these ends are merged too. An event is
    certain when nothing that follows can lengthen it. An event of more than an hour is cut there,
    and the rest is an event however short. Memory does not grow with the length of the recording.

    Args:
        labels: Names of the scores.
        rules: Thresholds and durations of events.
        sample_rate: Rate of the positions, in Hz.
        hop: Trimming leaves an event at least this long, in samples.
        trim: Samples to remove at both ends of an event.
        offset_seconds: Time of position 0; exact, so that an event that is cut off by a gap ends
            where the gap begins.
    """

    def __init__(
        self,
        labels: Sequence[str],
        rules: EventRules,
        *,
        sample_rate: int,
        hop: int = 0,
        trim: int = 0,
        offset_seconds: Fraction = Fraction(0),
    ) -> None:
        self._labels, self._rules = labels, rules
        self._rate, self._offset = sample_rate, offset_seconds
        self._hop, self._trim = hop, trim
        self._threshold = torch.tensor(rules.threshold, dtype=torch.float32, device="cpu").expand(
            len(labels)
        )
        if rules.labels is not None:
            is_wanted = torch.tensor([label in rules.labels for label in labels], device="cpu")
            self._threshold = self._threshold.where(is_wanted, torch.inf)
        self._release = (RELEASE * self._threshold).tolist()
        self._shortest = round(rules.min_duration_seconds * sample_rate)
        self._gap = round(rules.merge_gap_seconds * sample_rate)
        self._longest = MAX_SECONDS * sample_rate
        self._open: dict[int, _Open] = {}
        self._over: dict[int, _Open] = {}  # the label's next may begin within the gap
        self._position = 0  # end of the scores so far

    @property
    def certain_until_seconds(self) -> float:
        """All events still to come start at or after this."""
        starts = [event.start for event in (*self._open.values(), *self._over.values())]
        return self._seconds(min([self._position, *starts]))

    def unfinished(self) -> list[Event]:
        """The events that are not certain yet, as they would be if nothing followed.

        Their ends are trimmed, unlike by `flush`, or one could turn out too short to be reported.
        """
        twin = copy(self)
        twin._open, twin._over = deepcopy((self._open, self._over))
        return twin._end_all()

    def push(self, scores: Tensor, ends: Tensor) -> list[Event]:
        """Process rows, each of which goes from the ``end`` of the one before to its own.

        Args:
            scores: Scores of the rows.
            ends: End of each row, in samples.

        Shape:
            scores: (n_rows, n_labels); ends: (n_rows,).

        Returns:
            The events that are now certain, ordered by start. Events that began earlier may follow.
        """
        is_active = scores >= self._threshold
        reaches = is_active.any(dim=1).tolist()
        of_rows, marks = scores.numpy(), is_active.numpy()
        closed: list[Event] = []
        for row, end in enumerate(ends.tolist()):
            if reaches[row] or self._open or self._over:
                active = marks[row].nonzero()[0].tolist() if reaches[row] else []
                closed += self._step(active, of_rows[row], end)
            self._position = end
        return sorted(closed, key=lambda event: event.start_seconds)

    def _step(self, active: list[int], scores: NDArray[np.float32], end: int) -> list[Event]:
        """Process a row up to ``end``, (n_labels,), with the labels that reach their threshold."""
        begin = self._position
        closed: list[Event] = []
        values = {index: float(scores[index]) for index in {*active, *self._open}}
        for index in list(self._open):
            event = self._open[index]
            if end - event.start > self._longest:
                goes_on = index in active  # else it has ended before, like any other
                if goes_on:
                    event.trim_end = 0
                closed += self._close(index) + self._give(index)
                if goes_on:
                    self._open[index] = _Open(begin, end, 0.0, 0, self._trim, is_rest=True)
                continue
            event.released |= values[index] < self._release[index]
            gap = end - event.end + 2 * self._trim  # to what might begin at `end`
            if index not in active and event.released and gap > self._gap:
                closed += self._close(index)
        trim = self._trim if begin else 0
        for index in active:
            event = self._open.setdefault(index, _Open(begin, end, 0.0, trim, self._trim))
            event.end, event.released = end, False
            event.score = max(event.score, values[index])
        for index in list(self._over):
            first = self._ends(self._open[index])[0] if index in self._open else end
            if first - self._ends(self._over[index])[1] > self._gap:
                closed += self._give(index)
        return closed

    def flush(self, end: int) -> list[Event]:
        """End the recording at ``end``, to which the last row is extended or cut.

        Returns:
            The events that were not certain before.
        """
        for event in self._open.values():
            if event.end == self._position:
                event.end, event.trim_end = end, 0
        return self._end_all()

    def _end_all(self) -> list[Event]:
        """End what is open, and report all events, ordered by start."""
        closed: list[Event] = []
        for index in list(self._open):
            closed += self._close(index)
        for index in list(self._over):
            closed += self._give(index)
        return sorted(closed, key=lambda event: event.start_seconds)

    def _close(self, index: int) -> list[Event]:
        """End an event; merge it with the one before if that is near, else report that one."""
        event, closed = self._open.pop(index), list[Event]()
        if before := self._over.get(index):
            gap = self._ends(event)[0] - self._ends(before)[1]
            if gap <= self._gap and event.end - before.start <= self._longest:
                event.start, event.trim, event.is_rest = before.start, before.trim, before.is_rest
                event.score = max(event.score, before.score)
            else:
                closed = self._give(index)
        self._over[index] = event
        return closed

    def _ends(self, event: _Open) -> tuple[int, int]:
        """First and last sample; trimming is undone for an event shorter than a hop."""
        first, last = event.start + event.trim, event.end - event.trim_end
        if (excess := self._hop - (last - first)) > 0 and (trim := event.trim + event.trim_end):
            give_back = min(excess, trim)
            at_start = give_back * event.trim // trim
            first, last = first - at_start, last + give_back - at_start
        return first, last

    def _give(self, index: int) -> list[Event]:
        event = self._over.pop(index)
        first, last = self._ends(event)
        if last - first < self._shortest and not event.is_rest:
            return []
        if not reaches(event.score, self._rules.min_score):
            return []
        start, end = self._seconds(first), self._seconds(last)
        return [Event(start, end, self._labels[index], event.score)]

    def _seconds(self, position: int) -> float:
        return float(self._offset + Fraction(position, self._rate))
