"""Which stretches of recordings are heard in the page: the best events first, as room allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from soundsep.pipeline.timeline import Event

__all__ = ["MAX_SPAN_SECONDS", "Span", "choose_spans"]

MAX_SPAN_SECONDS = 30.0  # of a longer event the beginning


class Span(NamedTuple):
    """A part of a recording.

    Attributes:
        start_seconds: Start of the part in the recording.
        end_seconds: End of the part in the recording.
    """

    start_seconds: float
    end_seconds: float


def choose_spans(
    events: Mapping[str, Sequence[Event]], *, margin_seconds: float, max_seconds: float
) -> dict[str, list[Span]]:
    """Choose parts around events, by recording and time; those that touch become one.

    The best event of every label comes first, then the second of every label, and so on, so that a
    frequent label leaves room for a rare one.

    Args:
        events: Events of each recording.
        margin_seconds: Time to add before and after each event.
        max_seconds: Limit of the total length of all parts.

    Examples:
        >>> owl, dog = Event(5, 6, "owl", 0.9), Event(6, 7, "dog", 0.8)
        >>> choose_spans({"a": [owl, dog]}, margin_seconds=1, max_seconds=9)
        {'a': [Span(start_seconds=4, end_seconds=8)]}
        >>> choose_spans({"a": [owl, dog]}, margin_seconds=1, max_seconds=3)
        {'a': [Span(start_seconds=4, end_seconds=7)]}
    """
    ranked = sorted(
        ((path, event) for path, found in events.items() for event in found),
        key=lambda item: -item[1].score,
    )
    seen: dict[str, int] = {}
    turns = []
    for path, event in ranked:
        seen[event.label] = turn = seen.get(event.label, 0) + 1
        turns.append((turn, path, event))
    chosen: dict[str, list[Span]] = {path: [] for path in events}
    left = max_seconds
    for _, path, event in sorted(turns, key=lambda item: item[0]):
        start = max(0, event.start_seconds - margin_seconds)
        end = min(event.end_seconds + margin_seconds, start + MAX_SPAN_SECONDS)
        touched = [s for s in chosen[path] if s.start_seconds <= end and s.end_seconds >= start]
        joined = Span(
            min([start, *(s.start_seconds for s in touched)]),
            max([end, *(s.end_seconds for s in touched)]),
        )
        if joined.end_seconds - joined.start_seconds > MAX_SPAN_SECONDS:
            joined, touched = Span(start, end), []  # heard twice, but each from its start
        more = (joined.end_seconds - joined.start_seconds) - sum(
            s.end_seconds - s.start_seconds for s in touched
        )
        if more <= left:
            left -= more
            chosen[path] = [s for s in chosen[path] if s not in touched] + [joined]
    return {path: sorted(set(spans)) for path, spans in chosen.items() if spans}
