"""Events of a night or a season, counted by label, day and hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundsep.errors import ConfigError
from soundsep.names import printable
from soundsep.pipeline.event_table import TimedEvent
from soundsep.pipeline.events import Events
from soundsep.pipeline.tables import Table
from soundsep.pipeline.timeline import Event

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EventSummary", "Hour", "summarize"]

Hour = tuple[date, int]  # a day, and an hour of it from 0 to 23
HOURS = tuple(f"{hour:02}" for hour in range(24))


@dataclass(frozen=True, kw_only=True, slots=True)
class EventSummary:
    """How many events of each label began in each hour of each day, by the recorders' clocks.

    Attributes:
        counts: Number of events of each label, by day and hour.
        untimed: Number of events of each label whose time of day is unknown.
        recorded: Seconds recorded in each hour of each day, if known; else empty. An hour that is
            not in it was not recorded.
    """

    counts: Mapping[str, Mapping[Hour, int]]
    untimed: Mapping[str, int] = field(default_factory=dict)
    recorded: Mapping[Hour, float] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that occur, the most frequent first."""
        totals = {label: self.total(label) for label in {*self.counts, *self.untimed}}
        return tuple(sorted(totals, key=lambda label: (-totals[label], label)))

    @property
    def days(self) -> tuple[date, ...]:
        """All days from the first to the last, including those without events or recordings."""
        told = {day for hours in (*self.counts.values(), self.recorded) for day, _ in hours}
        if not told:
            return ()
        first, last = min(told), max(told)
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))

    def total(self, label: str) -> int:
        """Number of events of a label."""
        return sum(self.counts.get(label, {}).values()) + self.untimed.get(label, 0)

    def by_hour(self, label: str) -> list[int]:
        """Number of events of a label in each hour of the day, from 0 to 23, over all days."""
        totals = Counter[int]()
        for (_, hour), n in self.counts.get(label, {}).items():
            totals[hour] += n
        return [totals[hour] for hour in range(24)]

    def recorded_hours(self) -> list[float]:
        """Length recorded in each hour of the day, from 0 to 23, over all days, in hours."""
        hours = [0.0] * 24
        for (_, hour), seconds in self.recorded.items():
            hours[hour] += seconds / 3600
        return hours

    def _table(self) -> Table:
        return Table(("label", "total", *HOURS, "no_time"), self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        for label in self.labels:
            hours = dict(zip(HOURS, self.by_hour(label), strict=True))
            untimed = self.untimed.get(label, 0)
            yield {"label": label, "total": self.total(label), **hours, "no_time": untimed}

    def to_dataframe(self) -> pd.DataFrame:
        """One row per label: ``label``, ``total``, ``00`` to ``23``, ``no_time``.

        Raises:
            DependencyError: pandas is not installed.
        """
        return self._table().to_dataframe()

    def to_csv(self, path: str | Path) -> None:
        """Write the table of `to_dataframe`, whole or not at all; pandas is not needed.

        Args:
            path: A file; an existing one is replaced.

        Raises:
            ConfigError: the file cannot be written.
        """
        self._table().to_csv(path)

    def __str__(self) -> str:
        """A readable table of the hours that have events or recordings."""
        rows = [(printable(label), self.by_hour(label), self.total(label)) for label in self.labels]
        recorded = self.recorded_hours()
        hours = [
            hour
            for hour in range(24)
            if recorded[hour] or any(by_hour[hour] for _, by_hour, _ in rows)
        ]
        lines = [["", *(HOURS[hour] for hour in hours), "all"]]
        for label, by_hour, total in rows:
            lines.append([label, *(str(by_hour[hour] or ".") for hour in hours), str(total)])
        if self.recorded:
            told = [_hours(recorded[hour]) for hour in hours]
            lines.append(["recorded (h)", *told, _hours(sum(recorded))])
        if n_untimed := sum(self.untimed.values()):
            lines.append([f"without a time of day: {n_untimed}"])
        return _aligned(lines)


def summarize(
    events: Events | Iterable[Events] | Iterable[TimedEvent],
    *,
    recorded: Mapping[Hour, float] | None = None,
) -> EventSummary:
    """Count events by label, day and hour.

    Args:
        events: Results of `soundsep.Pipeline.events` for one recording or several, or events with
            their times, for example from `read_events`.
        recorded: Seconds recorded by hour, from `recorded_seconds`.

    Raises:
        AudioError: a recording whose events are requested cannot be read.
        ConfigError: ``events`` is something else.

    Examples:
        >>> from soundsep.pipeline import Event
        >>> dog = Event(0.0, 1.0, "dog", 0.9)
        >>> print(summarize(TimedEvent("", dog, datetime(2024, 5, 19, h)) for h in (3, 3, 22)))
             03  22  all
        dog   2   1    3
    """
    counts: dict[str, Counter[Hour]] = {}
    untimed = Counter[str]()
    for event, when in _timed(events):
        if when is None:
            untimed[event.label] += 1
        else:
            counts.setdefault(event.label, Counter())[when.date(), when.hour] += 1
    return EventSummary(counts=counts, untimed=untimed, recorded=recorded or {})


def _timed(events: Iterable[Any]) -> Iterator[tuple[Event, datetime | None]]:
    for item in [events] if isinstance(events, Events) else events:
        if isinstance(item, Events):
            start = item.start_time
            for event in item:
                since = timedelta(seconds=event.start_seconds)
                yield event, None if start is None else start + since
        elif isinstance(item, TimedEvent):
            yield item.event, item.start_time
        else:
            raise ConfigError(
                "expected events of a pipeline or of read_events, which know their times, got "
                f"{type(item).__name__}"
            )


def _hours(hours: float) -> str:
    if not hours:
        return "."
    if hours < 0.05:  # a minute every hour is not nothing
        return f"{hours:.1g}"
    return f"{hours:.1f}" if hours < 10 else f"{hours:.0f}"


def _aligned(lines: list[list[str]]) -> str:
    """Aligned columns: the first to the left, all others to the right."""
    width = max((len(cells[0]) for cells in lines if len(cells) > 1), default=0)
    widths = [
        max(len(cells[i]) for cells in lines if len(cells) > i)
        for i in range(1, max(map(len, lines)))
    ]
    return "\n".join(
        "  ".join(
            [cells[0].ljust(width), *(c.rjust(w) for c, w in zip(cells[1:], widths, strict=False))]
        ).rstrip()
        for cells in lines
    )
