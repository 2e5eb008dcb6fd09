from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from soundsep import ConfigError
from soundsep.pipeline.event_tracker import MAX_SECONDS, EventRules, EventTracker
from soundsep.pipeline.timeline import Event, Gap, Scores

LABELS = ("dog", "rain")


def track(rows: Iterable[tuple[float, ...]], **rules) -> list[Event]:
    """Events of a recording with a window a second; a row holds the scores of the labels."""
    tracker = EventTracker(LABELS, EventRules(**rules), sample_rate=10)
    events = []
    for i, row in enumerate(rows, 1):
        events += push(tracker, row + (0.0,) * (2 - len(row)), 10 * i)
    return events + tracker.flush(10 * i + 3)


def push(tracker: EventTracker, row: Iterable[float], end: int) -> list[Event]:
    """What the tracker gives for one row."""
    return tracker.push(torch.tensor([[*row]]), torch.tensor([end]))


def spans(events: list[Event]) -> list[tuple[float, float]]:
    return [(event.start_seconds, event.end_seconds) for event in events]


@pytest.mark.parametrize(
    ("scores", "rules", "expected"),
    [
        ([0, 0.6, 0.9, 0, 0], {}, [(1, 3)]),
        ([0, 0.4, 0.6, 0.4, 0], {}, [(2, 3)]),
        ([0.6, 0.3, 0.3, 0.3, 0.6, 0], {}, [(0, 5)]),  # above half the threshold it goes on
        ([0.6, 0.25, 0.25, 0.25, 0.6, 0], {}, [(0, 5)]),  # at half of it, too
        ([0.6, 0.249, 0.25, 0.25, 0.6, 0], {}, [(0, 1), (4, 5)]),
        ([0.9, 0.35, 0.35, 0.35, 0.9], {"threshold": 0.7}, [(0, 5.3)]),
        ([0.6, 0.2, 0.2, 0.6, 0], {}, [(0, 1), (3, 4)]),
        ([0.6, 0.2, 0.2, 0.6, 0], {"merge_gap_seconds": 2}, [(0, 4)]),
        ([0.6, 0.2, 0.3, 0.6, 0], {}, [(0, 1), (3, 4)]),
        ([0.6, 0.2, 0.6, 0], {"merge_gap_seconds": 0}, [(0, 1), (2, 3)]),
        ([0.6, 0, 0.6, 0.6, 0], {"merge_gap_seconds": 0, "min_duration_seconds": 2}, [(2, 4)]),
        ([0, 0, 0, 0.6, 0, 0], {"min_duration_seconds": 2}, []),
        ([0, 0, 0.6], {}, [(2, 3.3)]),  # the last window speaks until the end
        ([0.6, 0.3, 0.3], {}, [(0, 1)]),
        ([0, 0.5, 0], {}, [(1, 2)]),  # a score equal to the threshold reaches it
        ([0.6, 0.6], {"threshold": 0.7}, []),
    ],
)
def test_scores_become_events(scores, rules, expected):
    assert spans(track([(s,) for s in scores], **rules)) == expected


def test_an_event_has_its_highest_score_and_labels_do_not_mix():
    events = track([(0.6, 0), (0.9, 0.7), (0, 0.5), (0, 0)])
    assert [e.label for e in events] == ["dog", "rain"]
    assert [e.score for e in events] == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize(
    ("scores", "merge_gap_seconds", "expected"),
    [
        ([0, 1, 1, 1, 1, 0, 0], 1.0, [(1.5, 4.5)]),
        ([0, 1, 0, 0], 1.0, [(1, 2)]),  # one stretch is left
        ([1, 1, 1, 0, 0], 1.0, [(0, 2.5)]),
        ([0, 0, 1, 1], 1.0, [(2.5, 4.3)]),
        ([0, 1, 1, 0, 1, 1, 0], 1.9, [(1.5, 2.5), (4.5, 5.5)]),
        ([0, 1, 1, 0, 1, 1, 0, 0], 2.0, [(1.5, 5.5)]),  # what is between them counts after it
    ],
)
def test_events_are_trimmed(scores, merge_gap_seconds, expected):
    rules = EventRules(merge_gap_seconds=merge_gap_seconds)
    tracker = EventTracker(LABELS, rules, sample_rate=10, hop=10, trim=5)
    rows = [(score, 0.0) for score in scores]
    events = [e for i, row in enumerate(rows, 1) for e in push(tracker, row, 10 * i)]
    assert spans(events + tracker.flush(10 * len(rows) + 3)) == expected


def test_a_short_event_is_trimmed_to_one_row_around_its_middle():
    """Of 3 s without 1.3 s at both ends 0.4 s are left; 0.3 s are given back at each end."""
    tracker = EventTracker(LABELS[:1], EventRules(), sample_rate=10, hop=10, trim=13)
    scores = [0, 1, 1, 1, 0]
    events = [e for i, score in enumerate(scores, 1) for e in push(tracker, [score], 10 * i)]
    assert spans(events + tracker.flush(50)) == [(2, 3)]


@pytest.mark.parametrize("scores", [(0.6, 0.2, 0.9), (0.9, 0.2, 0.6)])
def test_merged_events_have_the_highest_score_of_all_late_in_a_recording_too(scores):
    tracker = EventTracker(LABELS[:1], EventRules(merge_gap_seconds=2.0), sample_rate=1)
    events = push(tracker, [0.0], 2_500)
    for i, score in enumerate(scores, 2_501):
        events += push(tracker, [score], i)
    (event,) = events + tracker.flush(2_510)
    assert spans([event]) == [(2_500, 2_510)]
    assert event.score == pytest.approx(0.9)


@pytest.mark.parametrize("hop", [5, 10, 25, 50])
@pytest.mark.parametrize("merge_gap_seconds", [0.0, 1.0, 2.5, 3.0, 4.9])
def test_the_gap_that_is_merged_is_that_between_the_events_given(hop, merge_gap_seconds):
    """Short events are trimmed less; what is between them is then less, too."""
    rules, generator = EventRules(merge_gap_seconds=merge_gap_seconds), random.Random(0)
    gaps: list[float] = []
    for _ in range(200):
        tracker = EventTracker(LABELS[:1], rules, sample_rate=10, hop=hop, trim=12)
        events: list[Event] = []
        for i in range(generator.randint(1, 14)):
            certain_until = tracker.certain_until_seconds
            score = generator.choice([0, 0, 0.3, 0.9])
            given = push(tracker, [score], i * hop + (50 + hop) // 2)
            assert all(event.start_seconds >= certain_until for event in given)
            events += given
        events += tracker.flush(i * hop + 50)
        gaps += [after.start_seconds - before.end_seconds for before, after in pairwise(events)]
    assert gaps
    assert min(gaps) > merge_gap_seconds


def trimmed(start: int, end: int, trims: tuple[int, int], hop: int) -> tuple[int, int]:
    """Ends of an event that keeps a row, with what is missing given back at both ends."""
    first, last = start + trims[0], end - trims[1]
    given_back = max(0, min(hop - (last - first), sum(trims)))
    at_start = given_back * trims[0] // max(1, sum(trims))
    return first - at_start, last + given_back - at_start


def as_documented(
    scores: list[float], ends: list[int], *, gap: int, hop: int, trim: int
) -> list[tuple[float, float, float]]:
    """Events by looking at the whole recording at once, at 10 Hz and a threshold of 0.5."""
    begins, raw = [0, *ends[:-1]], list[list]()
    last_active = -1
    for i, score in enumerate(scores):
        if score < 0.5:
            continue
        between = scores[last_active + 1 : i]
        is_near = raw and begins[i] - raw[-1][1] + 2 * trim <= gap
        if raw and (is_near or min(between, default=1.0) >= 0.25):
            raw[-1][1:3] = ends[i], max(raw[-1][2], score)
        else:
            raw.append([begins[i], ends[i], score, trim if begins[i] else 0])
        last_active = i
    found = list[list]()
    for start, end, score, at_start in raw:
        trims = at_start, 0 if end == ends[-1] else trim
        if found:
            old, old_end, old_score, old_trims = found[-1]
            between = trimmed(start, end, trims, hop)[0] - trimmed(old, old_end, old_trims, hop)[1]
            if between <= gap:
                found[-1] = [old, end, max(score, old_score), (old_trims[0], trims[1])]
                continue
        found.append([start, end, score, trims])
    return [
        (*(at / 10 for at in trimmed(start, end, trims, hop)), score)
        for start, end, score, trims in found
    ]


@pytest.mark.parametrize("trim", [0, 3, 12, 30])
@pytest.mark.parametrize("hop", [5, 10, 25])
def test_events_are_those_of_the_rules_whatever_comes_when(hop, trim):
    generator = random.Random(hop + trim)
    for _ in range(300):
        n, gap = generator.randint(1, 25), hop * generator.randint(0, 20) // 2
        scores = generator.choices([0.0, 0.25, 0.5, 0.75], k=n)
        ends = [(i + 1) * hop for i in range(n)]
        rules = EventRules(merge_gap_seconds=gap / 10)
        tracker = EventTracker(LABELS[:1], rules, sample_rate=10, hop=hop, trim=trim)
        events = tracker.push(torch.tensor(scores)[:, None], torch.tensor(ends))
        events += tracker.flush(ends[-1])
        found = [(event.start_seconds, event.end_seconds, event.score) for event in events]
        assert found == as_documented(scores, ends, gap=gap, hop=hop, trim=trim)


@pytest.mark.parametrize("seed", range(20))
def test_rows_at_once_give_the_events_of_one_after_the_other(seed):
    """Quiet hours between them, so that most rows are passed over."""
    generator = torch.Generator().manual_seed(seed)
    loud = (torch.rand(400, 1, generator=generator) < 0.1).float()
    scores = torch.rand(400, 2, generator=generator) * loud
    ends = torch.arange(1, 401) * 10
    trackers = [
        EventTracker(LABELS, EventRules(), sample_rate=10, hop=10, trim=5) for _ in range(2)
    ]
    one_by_one = [
        event for i in range(400) for event in trackers[0].push(scores[i : i + 1], ends[i : i + 1])
    ]
    at_once = trackers[1].push(scores, ends)
    assert len(at_once) > 10
    assert at_once == sorted(one_by_one, key=lambda event: event.start_seconds)
    assert trackers[0].certain_until_seconds == trackers[1].certain_until_seconds
    assert trackers[0].flush(4_003) == trackers[1].flush(4_003)


@pytest.mark.parametrize("trim", [0, 5])
def test_unfinished_events_without_trim_are_those_of_the_end_and_asking_changes_nothing(trim):
    generator = random.Random(trim)
    rules = EventRules(min_duration_seconds=1.5, min_score=0.6, merge_gap_seconds=2.0)
    options = {"sample_rate": 10, "hop": 10, "trim": trim}
    asked, n_unfinished = EventTracker(LABELS, rules, **options), 0
    rows: list[list[float]] = []
    given: list[Event] = []
    for i in range(1, 200):
        rows.append(generator.choices([0.0, 0.0, 0.3, 0.5, 0.9], k=2))
        given += push(asked, rows[-1], 10 * i)
        other = EventTracker(LABELS, rules, **options)
        before = other.push(torch.tensor(rows), torch.arange(10, 10 * i + 1, 10))
        assert sorted(given, key=str) == sorted(before, key=str)
        ends = other.flush(10 * i)
        assert asked.unfinished() == ends or trim  # the ends of those are trimmed
        n_unfinished += len(asked.unfinished())
    assert n_unfinished > 100


def test_an_unfinished_event_that_will_be_trimmed_too_short_is_not_given():
    rules = EventRules(min_duration_seconds=2.0, merge_gap_seconds=0.0)
    for n_rows, is_given in ((7, False), (8, True)):
        tracker = EventTracker(LABELS, rules, sample_rate=10, hop=5, trim=10)
        scores = [0.0, 0.0] + [1.0] * n_rows + [0.0] * 8
        unfinished, given = list[Event](), list[Event]()
        for i, score in enumerate(scores, 1):
            given += push(tracker, (score, 0.0), 5 * i)
            unfinished += tracker.unfinished()
        assert spans(given) == ([(2.0, 4.0)] if is_given else [])
        assert {event.start_seconds for event in unfinished} == ({2.0} if is_given else set())


def test_an_event_is_given_once_it_is_certain():
    tracker = EventTracker(LABELS, EventRules(), sample_rate=10, offset_seconds=Fraction(100))
    rows = [(0.9, 0.9), (0.9, 0), (0.9, 0), (0, 0)]
    given = [len(push(tracker, row, 10 * i)) for i, row in enumerate(rows, 1)]
    assert given == [0, 0, 1, 0]  # rain is over at 1 s, and certain when 1 s more is no rain
    assert tracker.certain_until_seconds == 100
    assert spans(push(tracker, (0, 0), 50)) == [(100, 103)]
    assert tracker.certain_until_seconds == 105


def test_the_last_event_is_given_in_silence_once_the_gap_is_over():
    tracker = EventTracker(LABELS[:1], EventRules(), sample_rate=10, hop=10, trim=5)
    given = [len(push(tracker, [score], 10 * i)) for i, score in enumerate([0, 1, 0, 0, 0], 1)]
    assert given == [0, 0, 0, 1, 0]


def test_what_never_ends_is_cut_after_an_hour_and_memory_is_bounded():
    rows = [(0.9, 0.9 if i % 4 else 0.0) for i in range(MAX_SECONDS + 10)]
    tracker = EventTracker(LABELS, EventRules(), sample_rate=1)
    events = [e for i, row in enumerate(rows, 1) for e in push(tracker, row, i)]
    events += tracker.flush(len(rows))
    dogs = [e for e in events if e.label == "dog"]
    assert spans(dogs) == [(0, MAX_SECONDS), (MAX_SECONDS, len(rows))]


def test_sounds_that_are_cut_by_the_same_row_are_all_given():
    tracker = EventTracker(LABELS, EventRules(), sample_rate=1)
    ends = (MAX_SECONDS, MAX_SECONDS + 10)
    events = [event for end in ends for event in push(tracker, (0.9, 0.9), end)]
    assert {event.label for event in events} == {*LABELS}
    assert spans(events + tracker.flush(ends[1])) == [(0, ends[0])] * 2 + [ends] * 2


def test_the_rest_of_what_was_cut_is_not_too_short():
    tracker = EventTracker(LABELS[:1], EventRules(min_duration_seconds=60), sample_rate=1)
    n = MAX_SECONDS + 30
    events = [e for i in range(1, n + 1) for e in push(tracker, [0.9 if i < n else 0.6], i)]
    events += tracker.flush(n)
    assert spans(events) == [(0, MAX_SECONDS), (MAX_SECONDS, n)]
    assert [e.score for e in events] == pytest.approx([0.9, 0.9])


def test_what_is_cut_is_trimmed_at_its_real_ends_alone():
    """A sound that began before the recording's second stretch, and stops 60 s after the hour."""
    tracker = EventTracker(LABELS[:1], EventRules(), sample_rate=1, hop=1, trim=3)
    scores = [0.0] * 10 + [0.9] * (MAX_SECONDS + 60) + [0.0] * 20
    events = [e for i, s in enumerate(scores, 1) for e in push(tracker, [s], i)]
    begin, end = 10, 10 + MAX_SECONDS + 60
    cut = begin + MAX_SECONDS
    assert spans(events + tracker.flush(len(scores))) == [(begin + 3, cut), (cut, end - 3)]


def test_what_ends_within_the_hour_is_trimmed_although_silence_reaches_beyond_it():
    tracker = EventTracker(LABELS[:1], EventRules(), sample_rate=1, hop=1, trim=3)
    scores = [0.0] * 10 + [0.9] * MAX_SECONDS + [0.0] * 20
    events = [e for i, s in enumerate(scores, 1) for e in push(tracker, [s], i)]
    assert spans(events + tracker.flush(len(scores))) == [(10 + 3, 10 + MAX_SECONDS - 3)]


@pytest.mark.parametrize("begin", [0, 5_000])
@pytest.mark.parametrize(
    ("more", "expected"),
    [(0, [(0, MAX_SECONDS - 3)]), (1, [(0, MAX_SECONDS - 13), (MAX_SECONDS - 9, MAX_SECONDS + 1)])],
)
def test_merged_events_last_an_hour_at_most(more, expected, begin):
    rules = EventRules(merge_gap_seconds=5.0)
    tracker = EventTracker(LABELS[:1], rules, sample_rate=1, hop=10, trim=3)
    n = begin + MAX_SECONDS + more
    events = push(tracker, [0.0], begin) if begin else []
    pushes = [(0.9, n - 11), (0.0, n - 10), (0.9, n), (0.0, n + 100)]
    events += [e for score, end in pushes for e in push(tracker, [score], end)]
    found = [(start - begin, end - begin) for start, end in spans(events + tracker.flush(n + 100))]
    trim = 3 if begin else 0  # a recording begins with its sound
    assert found == [(expected[0][0] + trim, expected[0][1]), *expected[1:]]


def test_a_label_that_is_not_asked_for_has_no_event_however_sure_the_model_is():
    rows = [(1.0, 0.9), (1.0, 0.0), (0.0, 0.0), (0.0, 0.0)]
    events = track(rows, labels=frozenset({"rain"}), threshold=(0.5, 0.6))
    assert [(event.label, *span) for event, span in zip(events, spans(events), strict=True)] == [
        ("rain", 0, 1)
    ]


@pytest.mark.parametrize(
    ("rules", "n_samples", "n_events"),
    [
        ({"merge_gap_seconds": 0.29}, (10, 29, 10), 1),  # .29 * 100 is less than 29
        ({"merge_gap_seconds": 0.29}, (10, 30, 10), 2),
        ({"min_duration_seconds": 0.29}, (29, 200, 28), 1),
    ],
)
def test_seconds_are_rounded_to_samples(rules, n_samples, n_events):
    tracker = EventTracker(LABELS[:1], EventRules(**rules), sample_rate=100)
    first, gap, second = n_samples
    ends = torch.tensor([first, first + gap, first + gap + second, 1_000])
    events = tracker.push(torch.tensor([[0.9], [0.0], [0.9], [0.0]]), ends)
    assert len(events + tracker.flush(1_000)) == n_events


def test_the_least_score_is_enough():
    rows = [(0.5,), (0,), (0,), (0.49,), (0,), (0,)]
    assert spans(track(rows, threshold=0.25, min_score=0.5)) == [(0, 1)]


def test_the_cut_of_an_hour_leaves_an_hour_whole():
    rows = [(0.9,)] * 3_600
    tracker = EventTracker(LABELS[:1], EventRules(), sample_rate=10)
    assert not [e for i, row in enumerate(rows, 1) for e in push(tracker, row, 10 * i)]
    assert spans(push(tracker, [0.0], 36_010)) == [(0, 3_600)]
    assert not tracker.flush(36_010)  # no rest


@pytest.mark.parametrize(
    "rules",
    [
        {"threshold": 0},
        {"threshold": 1.1},
        {"threshold": float("nan")},
        {"min_duration_seconds": -1},
        {"merge_gap_seconds": float("inf")},
        {"merge_gap_seconds": 3_600},
        {"min_duration_seconds": 3_600},
    ],
)
def test_rules_out_of_range_are_refused(rules):
    with pytest.raises(ConfigError, match=next(iter(rules))):
        EventRules(**rules)


def test_results_print_and_turn_into_plain_types():
    event, gap = Event(1.23456, 3600.00004, "dog", 0.91234567), Gap(1.99996, 3.00004)
    assert str(event) == "    1.23 -  3600.00 s  0.912  dog"
    assert str(gap) == "    2.00 -     3.00 s  lost"
    assert event.to_dict() == {
        "start_seconds": 1.2346,
        "end_seconds": 3600.0,
        "label": "dog",
        "score": 0.912346,
    }
    assert gap.to_dict() == {"start_seconds": 2.0, "end_seconds": 3.0, "gap": True}


def test_scores_are_looked_up_by_label(tmp_path):
    scores = Scores(
        values=torch.tensor([[0.1, 0.25, 0.0, 0.05], [0.0] * 4, [0.3, 0.75, 0.5, 0.05]]),
        start_seconds=torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64),
        labels=(*LABELS, "cat", "cow"),
        window_seconds=2.0,
        hop_seconds=1.0,
        duration_seconds=4.0,
        path="my\nyard.wav",
    )
    assert scores["rain"].tolist() == [0.25, 0, 0.75]
    assert scores.edges_seconds.tolist() == [0, 1.5, 2.5, 4]
    size = "3 windows x 4 labels, 4.0 s"
    peaks = "rain 0.750, cat 0.500, dog 0.300"
    assert repr(scores) == rf"Scores(my\nyard.wav: {size}; highest {peaks})"
    assert scores.is_known.tolist() == [True, False, True]
    for least, is_known in ((0.25, [True, False, True]), (0.75, [False, False, True])):
        assert replace(scores, unknown_below=least).is_known.tolist() == is_known
    with pytest.raises(ConfigError, match="there is no label 'Rain', did you mean 'rain'"):
        scores["Rain"]
    scores.to_csv(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().splitlines() == [
        "start_seconds,end_seconds,dog,rain,cat,cow",
        "0.0000,1.5000,0.1000,0.2500,0.0000,0.0500",
        "1.5000,2.5000,0.0000,0.0000,0.0000,0.0000",
        "2.5000,4.0000,0.3000,0.7500,0.5000,0.0500",
    ]
