"""Broken recordings: read or refused, and nothing else."""

from __future__ import annotations

import sys

import pytest

from fuzz_audio import Counts, fuzz, is_stale

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")


@pytest.mark.parametrize(
    ("seed", "n_files"), [(0, 2_000), pytest.param(1, 20_000, marks=pytest.mark.slow)]
)
def test_broken_recordings_are_read_or_refused(seed, n_files):
    counts = Counts()
    fuzz(counts, seed, 0, n_files)
    assert counts.failures == []
    assert counts.outcomes.total() == n_files
    kinds = {kind for kind, _ in counts.outcomes}
    assert len(kinds) == 10
    assert len(counts.outcomes) == 2 * len(kinds), "of every kind some can be read, and some not"


def test_the_page_agrees_with_the_counts():
    assert not is_stale()
