"""Progress of a training, by its steps or by its time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from soundsep.errors import ConfigError

__all__ = ["Pace"]


class Pace:
    """Share of a run that is over, from 0 to 1: of its steps or of its time, whichever is more.

    A schedule by this share ends on time on any machine, as that of a shorter run.

    Args:
        n_steps: Number of steps of the whole run.
        seconds: Time limit from now on; ``None`` sets no limit.
        clock: Function that returns the time, in seconds.

    Raises:
        ConfigError: ``n_steps`` is below 1, or ``seconds`` is not above 0 and finite.
    """

    def __init__(
        self,
        n_steps: int,
        seconds: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if n_steps < 1 or (seconds is not None and not 0 < seconds < math.inf):
            raise ConfigError(f"a run needs steps and time, got {n_steps} and {seconds} s")
        self.n_steps, self.seconds = n_steps, seconds
        self._clock, self._began = clock, clock()

    def resume(self, elapsed: float) -> None:
        """Count the time of an interrupted run too.

        Args:
            elapsed: Seconds that the run took before.
        """
        self._began -= elapsed

    @property
    def elapsed(self) -> float:
        """Seconds since the object was made, and those of the run that it resumes."""
        return self._clock() - self._began

    def share(self, step: int) -> float:
        """Share of the run that is over before a step, counted from 0."""
        share = step / self.n_steps
        if self.seconds is not None:
            share = max(share, self.elapsed / self.seconds)
        return min(1.0, share)
