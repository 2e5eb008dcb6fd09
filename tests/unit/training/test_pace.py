from __future__ import annotations

import math

import pytest

from soundsep.errors import ConfigError
from soundsep.training.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_limit_steps_count():
    pace = Pace(8)
    assert [pace.share(step) for step in (0, 2, 8, 9)] == [0.0, 0.25, 1.0, 1.0]


def test_the_further_of_steps_and_time_counts():
    clock = Clock()
    pace = Pace(100, 60.0, clock=clock)
    assert pace.share(0) == 0.0
    clock.now += 15.0
    assert pace.elapsed == 15.0
    assert pace.share(10) == 0.25  # slow: the clock leads
    assert pace.share(40) == 0.4  # quick: the steps do
    clock.now += 50.0
    assert pace.share(41) == 1.0  # and nothing goes on beyond it


@pytest.mark.parametrize(("n_steps", "seconds"), [(0, None), (1, 0.0), (1, -1.0), (1, math.inf)])
def test_a_run_of_nothing_is_refused(n_steps, seconds):
    with pytest.raises(ConfigError, match="steps and time"):
        Pace(n_steps, seconds)


def test_a_run_that_goes_on_counts_the_time_before():
    clock = Clock()
    pace = Pace(100, 60.0, clock=clock)
    pace.resume(45.0)
    assert pace.elapsed == 45.0
    assert pace.share(0) == 0.75
    clock.now += 20.0
    assert pace.share(1) == 1.0
