from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from soundsep import Event
from soundsep.errors import ConfigError
from soundsep.evaluation.psds import score_table
from soundsep.metrics import EventMetrics, F1Score, event_metrics


def event(start: float, end: float, label: str = "dog") -> Event:
    return Event(start, end, label, 1.0)


def test_counts_add_up_over_recordings():
    perfect = ([event(0, 5)], [event(0.1, 5.1)])
    confused = ([event(0, 5)], [event(0, 5, "cat")])  # one substitution
    missed = ([event(0, 5), event(10, 12)], [event(10.5, 12), event(30, 31), event(40, 41, "cat")])
    quiet = ([], [])
    metrics = event_metrics([perfect, confused, missed, quiet], seconds=1800)
    assert (metrics.n_recordings, metrics.hours) == (4, 0.5)
    assert metrics.collar == F1Score(n_hits=2, n_true=4, n_found=5)
    assert metrics.collar_200ms == F1Score(n_hits=1, n_true=4, n_found=5)
    assert metrics.overlap == F1Score(n_hits=2, n_true=4, n_found=5)
    assert metrics.labels == F1Score(n_hits=2, n_true=3, n_found=4)
    assert metrics.spurious_per_hour == 6
    assert metrics.error_rate == (1 + 1 + 2) / 4  # one confused, one missed, two made up
    assert metrics.collar.f1 == pytest.approx(4 / 9)


def test_nothing_to_find_and_nothing_found_is_right():
    metrics = event_metrics([([], [])], seconds=10)
    assert (metrics.collar.f1, metrics.error_rate, metrics.spurious_per_hour) == (1, 0, 0)
    assert event_metrics([([], [event(0, 1)])], seconds=10).collar.f1 == 0
    assert event_metrics([([event(0, 1)], [])], seconds=10).collar.f1 == 0
    nothing = F1Score()
    assert (nothing.precision, nothing.recall, nothing.f1) == (1, 1, 1)


def test_a_hit_and_a_substitution_are_within_1_s():
    for shift, label, hits, errors in [
        (1.0, "dog", 1, 0),
        (1.1, "dog", 0, 2),  # one missed, one made up
        (1.0, "cat", 0, 1),  # taken for another
        (1.1, "cat", 0, 2),
    ]:
        found = [event(10 + shift, 12 + shift, label)]
        metrics = event_metrics([([event(10, 12)], found)], seconds=60)
        assert (metrics.collar.n_hits, metrics.error_rate) == (hits, errors), (shift, label)


def test_print_and_json():
    metrics = event_metrics([([event(0, 5)], [event(0, 5)])], seconds=3600)
    assert str(metrics).splitlines() == [
        "recordings: 1, 1.00 h; events: 1 true, 1 found",
        "                   precision   recall       F1",
        "within 1 s            100.0%   100.0%    1.000",
        "within 200 ms         100.0%   100.0%    1.000",
        "any overlap           100.0%   100.0%    1.000",
        "labels                100.0%   100.0%    1.000",
        "error rate                               0.000",
        "spurious per hour                          0.0",
    ]
    plain = metrics.to_dict()
    assert plain["collar"] == {
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
        "n_hits": 1,
        "n_true": 1,
        "n_found": 1,
    }
    assert plain["psds1"] is None


def test_json_has_no_more_digits_than_mean_something():
    two_of_three = F1Score(n_hits=2, n_true=3, n_found=3)
    metrics = EventMetrics(
        n_recordings=3,
        hours=1 / 3,
        collar=two_of_three,
        collar_200ms=two_of_three,
        overlap=F1Score(n_hits=1, n_true=3, n_found=2),
        labels=two_of_three,
        error_rate=2 / 3,
        psds1=0.0,
        psds2=1 / 3,
    )
    plain = metrics.to_dict()
    assert plain["collar"]["f1"] == plain["error_rate"] == 0.666667
    assert plain["psds2"] == plain["hours"] == 0.333333
    assert (plain["psds1"], plain["spurious_per_hour"]) == (0, 3)
    longer = replace(metrics, hours=7 / 3).to_dict()
    assert longer["spurious_per_hour"] == 0.429
    assert "PSDS 1                                   0.000\nPSDS 2" in str(metrics)


def test_every_figure_stands_under_its_own_name():
    metrics = EventMetrics(
        n_recordings=2,
        hours=0.5,
        collar=F1Score(n_hits=1, n_true=4, n_found=5),
        collar_200ms=F1Score(n_hits=0, n_true=4, n_found=5),
        overlap=F1Score(n_hits=3, n_true=4, n_found=5),
        labels=F1Score(n_hits=2, n_true=2, n_found=3),
        error_rate=1.25,
        psds1=1 / 3,
        psds2=2 / 3,
    )
    assert str(metrics).splitlines() == [
        "recordings: 2, 0.50 h; events: 4 true, 5 found",
        "                   precision   recall       F1",
        "within 1 s             20.0%    25.0%    0.222",
        "within 200 ms           0.0%     0.0%    0.000",
        "any overlap            60.0%    75.0%    0.667",
        "labels                 66.7%   100.0%    0.800",
        "error rate                               1.250",
        "spurious per hour                          4.0",  # 2 that overlap no true one
        "PSDS 1                                   0.333",
        "PSDS 2                                   0.667",
    ]
    plain = metrics.to_dict()
    names = ("collar", "collar_200ms", "overlap", "labels")
    assert [plain[name]["n_hits"] for name in names] == [1, 0, 3, 2]
    assert (plain["n_recordings"], plain["hours"]) == (2, 0.5)
    assert (plain["error_rate"], plain["spurious_per_hour"]) == (1.25, 4)
    assert (plain["psds1"], plain["psds2"]) == (0.333333, 0.666667)
    assert len(plain) == 10


@pytest.mark.parametrize("seconds", [0, -1.0, np.nan])
def test_no_length_is_refused(seconds):
    with pytest.raises(ConfigError, match="longer than 0 s"):
        event_metrics([], seconds=seconds)


@pytest.mark.parametrize("collar", [1.0, 0.2])
def test_collar_metrics_are_those_of_sed_scores_eval(collar, sed_scores_eval):
    rng = np.random.default_rng(4)
    labels, step = ["dog", "rain", "siren"], 0.1
    recordings, tables, truths = [], {}, {}
    for number in range(12):
        active = np.zeros((300, len(labels)))
        truth = []
        for k, label in enumerate(labels):
            at = 0
            while (at := at + int(rng.integers(5, 60))) < 270:
                end = at + int(rng.integers(3, 29))
                truth.append(event(at * step, end * step, label))
                first, last = at + int(rng.integers(-4, 5)), end + int(rng.integers(-4, 5))
                if rng.random() < 0.8:
                    active[max(0, first) : max(first + 1, last), k] = 1
                at = end
        tables[str(number)] = score_table(active, np.arange(301) * step, labels)
        truths[str(number)] = [(e.start_seconds, e.end_seconds, e.label) for e in truth]
        found = []
        for k, label in enumerate(labels):
            edges = np.flatnonzero(np.diff(active[:, k], prepend=0, append=0))
            found += [
                event(a * step, b * step, label)
                for a, b in zip(edges[::2], edges[1::2], strict=True)
            ]
        recordings.append((truth, found))
    f, p, r, stats = sed_scores_eval.collar_based.fscore(
        tables,
        truths,
        threshold=0.5,
        onset_collar=collar,
        offset_collar=collar,
        offset_collar_rate=0.2,
    )
    metrics = event_metrics(recordings, seconds=360)
    ours = metrics.collar if collar == 1.0 else metrics.collar_200ms
    assert 0.05 < ours.f1 < 0.95
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(
        (p["micro_average"], r["micro_average"], f["micro_average"])
    )
    assert ours.n_hits == sum(stats[label]["tps"] for label in labels)
