from __future__ import annotations

import numpy as np
import pytest

from soundsep import ConfigError
from soundsep.metrics import independent_trials, wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "expected"),
    [(0, 10, (0.0, 0.2775)), (81, 100, (0.7222, 0.8749)), (5, 5, (0.5655, 1.0))],
)
def test_wilson_interval_gives_the_textbook_values(right, n, expected):
    assert wilson_interval(right / n, n) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ConfigError):
        wilson_interval(0.5, 0)


def test_an_interval_over_recordings_of_unequal_size_holds_the_true_share():
    """All clips of a recording are right together, and a few recordings have most of the clips."""
    sizes = np.array([12] * 4 + [4] * 20 + [1] * 60)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    is_right = np.random.default_rng(0).random((2_000, len(sizes))) < 0.85
    n = independent_trials(groups)
    bounds = [wilson_interval(share, n) for share in is_right @ sizes / sizes.sum()]
    assert np.mean([low <= 0.85 <= high for low, high in bounds]) == pytest.approx(0.95, abs=0.02)
    assert independent_trials("aabbcc") == 3
    assert independent_trials([]) == 0
