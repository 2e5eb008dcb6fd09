"""Pairs of true events and found ones that agree, one to one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import maximum_bipartite_matching

__all__ = ["LabelledSpan", "match_by_collar", "match_by_overlap"]

OFFSET_SHARE = 0.2  # of an event's length: the tolerance of its end, as in DCASE
MAX_PAIRS = 2**20  # that are compared at once: a season has tens of thousands of events

Times = NDArray[np.float64]


class LabelledSpan(Protocol):
    """What the metrics read of an event, such as `soundsep.Event`."""

    @property
    def start_seconds(self) -> float:
        """Start, in seconds from the beginning of the recording."""
        ...

    @property
    def end_seconds(self) -> float:
        """End, in seconds from the beginning of the recording."""
        ...

    @property
    def label(self) -> str:
        """Name of the sound."""
        ...


def match_by_collar(
    truth: Sequence[LabelledSpan],
    found: Sequence[LabelledSpan],
    *,
    collar_seconds: float,
    offset_share: float = OFFSET_SHARE,
    any_label: bool = False,
) -> list[tuple[int, int]]:
    """Pair true events and found ones whose starts and ends agree, as many as possible.

    Args:
        truth: True events of one recording.
        found: Events found in it.
        collar_seconds: Tolerance of starts and ends.
        offset_share: Tolerance of ends as a share of the true length, if that is more.
        any_label: Also pair events of different labels.

    Returns:
        Indices of each pair, the true event first; no event is in two pairs.
    """

    def fits(a: Times, b: Times) -> NDArray[np.bool_]:
        collars = np.maximum(collar_seconds, offset_share * (a[:, 1] - a[:, 0]))
        # A distance of exactly the collar counts, whatever the subtraction rounds.
        starts = np.abs(a[:, None, 0] - b[None, :, 0]) <= collar_seconds + 1e-6
        ends: NDArray[np.bool_] = np.abs(a[:, None, 1] - b[None, :, 1]) <= collars[:, None] + 1e-6
        return starts & ends

    return _match(truth, found, fits, any_label=any_label)


def match_by_overlap(
    truth: Sequence[LabelledSpan], found: Sequence[LabelledSpan]
) -> list[tuple[int, int]]:
    """Pair true events and found ones of the same label that overlap, as many as possible.

    Args:
        truth: True events of one recording.
        found: Events found in it.

    Returns:
        Indices of each pair, as from `match_by_collar`.
    """

    def fits(a: Times, b: Times) -> NDArray[np.bool_]:
        return (a[:, None, 0] < b[None, :, 1]) & (b[None, :, 0] < a[:, None, 1])

    return _match(truth, found, fits)


def _match(
    truth: Sequence[LabelledSpan],
    found: Sequence[LabelledSpan],
    fits: Callable[[Times, Times], NDArray[np.bool_]],
    *,
    any_label: bool = False,
) -> list[tuple[int, int]]:
    groups: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, events in enumerate((truth, found)):
        for index, event in enumerate(events):
            groups["" if any_label else event.label][side].append(index)
    pairs: list[tuple[int, int]] = []
    for of_truth, of_found in groups.values():
        if not of_truth or not of_found:
            continue
        a, b = _times(truth, of_truth), _times(found, of_found)
        n = max(1, MAX_PAIRS // len(b))
        rows = [csr_array(fits(a[i : i + n], b)) for i in range(0, len(a), n)]
        partners = maximum_bipartite_matching(vstack(rows, format="csr"), perm_type="column")
        pairs += [(of_truth[i], of_found[j]) for i, j in enumerate(partners) if j >= 0]
    return sorted(pairs)


def _times(events: Sequence[LabelledSpan], indices: Iterable[int]) -> Times:
    """(n_events, 2): start and end of each."""
    return np.array([(events[i].start_seconds, events[i].end_seconds) for i in indices], np.float64)
