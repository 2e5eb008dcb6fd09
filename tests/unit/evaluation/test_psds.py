from __future__ import annotations

import builtins

import pytest
import torch

from soundsep import Event
from soundsep.errors import ConfigError, DependencyError
from soundsep.evaluation import polyphonic_scores
from soundsep.pipeline import Scores

LABELS = ("dog", "rain", "siren")
TRUTH = [Event(2.0, 5.0, "dog", 1.0), Event(4.0, 9.0, "rain", 1.0), Event(20.0, 24.0, "dog", 1.0)]


def scores_of(truth: list[Event], late: float = 0.0) -> Scores:
    """Frames of 0.1 s over 30 s: .9 where an event is, .1 elsewhere."""
    values = torch.full((300, len(LABELS)), 0.1)
    for event in truth:
        first, last = (round((t + late) * 10) for t in (event.start_seconds, event.end_seconds))
        values[first:last, LABELS.index(event.label)] = 0.9
    return Scores(
        values=values,
        start_seconds=torch.arange(300, dtype=torch.float64) / 10,
        labels=LABELS,
        window_seconds=0.1,
        hop_seconds=0.1,
        duration_seconds=30.0,
    )


def test_scores_that_are_right_get_1_and_those_that_are_wrong_0(sed_scores_eval):
    assert polyphonic_scores([(scores_of(TRUTH), TRUTH)] * 3) == pytest.approx((1, 1))
    other = [Event(e.start_seconds + 10, e.end_seconds + 10, e.label, 1.0) for e in TRUTH[:2]]
    wrong = polyphonic_scores([(scores_of(other), TRUTH)])
    assert wrong[0] < 0.05


def test_scenario_1_asks_for_times_and_2_does_not(sed_scores_eval):
    late = [(scores_of(TRUTH, late=1.5), TRUTH)] * 3
    exact, lenient = polyphonic_scores(late)
    assert exact < 0.4
    assert lenient > 0.9


@pytest.mark.parametrize(
    ("late", "expected"), [(0.7, (1, 1)), (0.8, (0, 1)), (2.2, (0, 1)), (2.3, (0, 0))]
)
def test_an_event_is_found_by_its_share_that_is_covered(sed_scores_eval, late, expected):
    """By DCASE's parameters that share is at least 70 % in scenario 1, and 10 % in scenario 2."""
    truth = [Event(4.0, 6.5, "dog", 1.0)]
    assert polyphonic_scores([(scores_of(truth, late), truth)]) == pytest.approx(expected)


def test_what_classes_differ_by_is_taken_off(sed_scores_eval):
    truth = [Event(4.0, 6.0, "dog", 1.0), Event(8.0, 10.0, "rain", 1.0)]
    found = [(scores_of(truth), truth), (scores_of(truth[:1]), truth)]
    # Of dogs all are found, of rain half: a mean of 0.75, less a deviation of 0.25.
    assert polyphonic_scores(found) == pytest.approx((0.5, 0.5))


def test_a_recording_without_events_counts_its_false_alarms(sed_scores_eval):
    quiet = scores_of([])
    alarm = scores_of([Event(0.0, 29.0, "dog", 1.0)])
    sure = polyphonic_scores([(scores_of(TRUTH), TRUTH), (quiet, [])])
    unsure = polyphonic_scores([(scores_of(TRUTH), TRUTH), (alarm, [])])
    assert unsure[0] < sure[0] == pytest.approx(1)


def test_recordings_without_any_event_are_refused(sed_scores_eval):
    with pytest.raises(ConfigError, match="the recordings have none"):
        polyphonic_scores([(scores_of([]), [])])
    with pytest.raises(ConfigError, match="no recordings"):
        polyphonic_scores([])


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **options):
        if name == "sed_scores_eval":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(DependencyError, match=r"soundsep\[eval\]"):
        polyphonic_scores([(scores_of(TRUTH), TRUTH)])
