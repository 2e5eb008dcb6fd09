from __future__ import annotations

import pytest

from soundsep import ConfigError
from soundsep.metrics import wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "expected"),
    [(0, 10, (0.0, 0.2775)), (81, 100, (0.7222, 0.8749)), (5, 5, (0.5655, 1.0))],
)
def test_wilson_interval_gives_the_textbook_values(right, n, expected):
    assert wilson_interval(right / n, n) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ConfigError):
        wilson_interval(0.5, 0)
