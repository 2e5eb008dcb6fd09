"""How far a training is: by its steps, or by the time that it was given."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from soundsep.errors import ConfigError

__all__ = ["Pace"]


class Pace:
    """Share of a run that is over, from 0 to 1: of its steps or of its time, whichever is more.

    A schedule that follows it ends on time on any machine, and is that of a shorter run there.

    Args:
        n_steps: Steps of the whole run.
        seconds: Time for it from now on; ``None`` is as long as it takes.
        clock: Gives the time, in seconds.

    Raises:
        ConfigError: there is no step, or no time.
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

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def share(self, step: int) -> float:
        """Share of the run that is over before step number ``step``, from 0."""
        share = step / self.n_steps
        if self.seconds is not None:
            share = max(share, self.elapsed / self.seconds)
        return min(1.0, share)
