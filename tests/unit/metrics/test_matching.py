from __future__ import annotations

import tracemalloc

import numpy as np

from soundsep import Event
from soundsep.metrics import match_by_collar, match_by_overlap, matching


def event(start: float, end: float, label: str = "dog") -> Event:
    return Event(start, end, label, 1.0)


def test_a_start_may_be_off_by_the_collar_and_an_end_by_a_fifth_of_the_length():
    truth = [event(10, 20)]
    for found, fits in [
        (event(10.2, 20), True),
        (event(9.79, 20), False),
        (event(10.2, 22), True),
        (event(10, 22.01), False),
        (event(10, 18), True),
        (event(10, 20, "cat"), False),
    ]:
        assert bool(match_by_collar(truth, [found], collar_seconds=0.2)) == fits, found
    short = [event(10, 10.5)]  # a fifth of it is less than the collar
    assert match_by_collar(short, [event(10, 10.7)], collar_seconds=0.2)
    assert not match_by_collar(short, [event(10, 10.71)], collar_seconds=0.2)
    rounded = [event(0.1, 0.8)], [event(0.1, 0.6)]  # .8 - .6 is more than .2
    assert match_by_collar(*rounded, collar_seconds=0.2)
    assert match_by_collar(*rounded[::-1], collar_seconds=0.2)
    assert not match_by_collar(truth, [event(10, 21.9)], collar_seconds=0.2, offset_share=0.1)


def test_as_many_pairs_as_can_be_are_made():
    # The first that is found fits both true ones, the second only the first: greed loses one.
    truth, found = [event(0, 2), event(1, 3)], [event(0.5, 2.5), event(0, 1.5)]
    assert match_by_collar(truth, found, collar_seconds=0.6) == [(0, 1), (1, 0)]


def test_overlap_is_one_to_one_and_does_not_count_touching():
    truth = [event(0, 10), event(20, 30)]
    found = [event(1, 2), event(3, 4), event(10, 20), event(29, 40), event(5, 6, "cat")]
    pairs = match_by_overlap(truth, found)
    assert [i for i, _ in pairs] == [0, 1]
    assert pairs[1] == (1, 3)
    assert match_by_overlap([event(0, 10)], [event(10, 20)]) == []
    assert match_by_overlap([event(10, 20)], [event(0, 10)]) == []


def test_pairs_are_in_the_order_of_the_true_events_whatever_their_labels():
    events = [event(0, 1), event(2, 3, "cat"), event(4, 5)]
    assert match_by_overlap(events, events) == [(0, 0), (1, 1), (2, 2)]


def test_pairs_do_not_depend_on_how_many_are_compared_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    truth, found = (
        [event(s, s + 1 + rng.random(), "ab"[int(2 * rng.random())]) for s in 60 * rng.random(n)]
        for n in (40, 50)
    )
    whole = match_by_collar(truth, found, collar_seconds=1.0), match_by_overlap(truth, found)
    assert min(map(len, whole)) > 10
    for most in (60, 5):  # two or three rows at a time, and one although that is too much
        monkeypatch.setattr(matching, "MAX_PAIRS", most)
        parts = match_by_collar(truth, found, collar_seconds=1.0), match_by_overlap(truth, found)
        assert parts == whole


def test_the_events_of_a_season_are_matched_in_bounded_memory():
    events = [event(10.0 * i, 10.0 * i + 5.0) for i in range(5_000)]
    tracemalloc.start()
    pairs = match_by_collar(events, events[1:], collar_seconds=1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pairs == [(i + 1, i) for i in range(4_999)]
    assert peak < 60e6  # 200 MB for each matrix of all differences
