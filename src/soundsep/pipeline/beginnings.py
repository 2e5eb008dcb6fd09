"""Which sounds have begun, told once each while they go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from soundsep.pipeline.timeline import Event

__all__ = ["Beginnings"]


class Beginnings:
    """Tells of events that are not over yet, once each.

    Args:
        tell: Called with each event that began.
    """

    def __init__(self, tell: Callable[[Event], object]) -> None:
        self._tell = tell
        self._going: set[str] = set()  # a label has one event at a time
        self._ended: dict[str, float] = {}  # end of each label's last event, in seconds

    def follow(self, finished: Iterable[Event], unfinished: Iterable[Event]) -> None:
        """Take what a stream returned, and what is not over after that."""
        for event in finished:
            self._going.discard(event.label)
            self._ended[event.label] = event.end_seconds
        going = set[str]()
        for event in unfinished:
            # An event that begins where one ended is the rest of a long one, which was cut.
            is_later = event.start_seconds > self._ended.get(event.label, -math.inf)
            if event.label not in self._going and is_later:
                self._tell(event)
            going.add(event.label)
        self._going = going
