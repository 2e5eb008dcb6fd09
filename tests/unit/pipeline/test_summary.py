from __future__ import annotations

import csv
from datetime import date, datetime, timedelta, timezone

import pytest

from soundsep import ConfigError
from soundsep.pipeline import Event, Events, EventSummary, TimedEvent, summarize

MAY_19, MAY_20, MAY_21 = (date(2024, 5, day) for day in (19, 20, 21))


def heard(label: str, when: datetime | None) -> TimedEvent:
    return TimedEvent("a.wav", Event(0.0, 1.0, label, 0.5), when)


# Three days, counted by hand: owls at 22 (2, 0, 1) and at 3 (0, 1, 0), a dog at 3 on the last day.
SEASON = [
    heard("owl", datetime(2024, 5, 19, 22, 0)),
    heard("owl", datetime(2024, 5, 19, 22, 59, 59, 999_000)),
    heard("owl", datetime(2024, 5, 20, 3, 30, tzinfo=timezone(timedelta(hours=10)))),
    heard("owl", datetime(2024, 5, 21, 22, 0, tzinfo=timezone.utc)),
    heard("dog", datetime(2024, 5, 21, 3, 0)),
    heard("rain", None),
]


def test_a_season_counted_by_hand():
    summary = summarize(SEASON)
    assert summary.labels == ("owl", "dog", "rain")
    assert [summary.total(label) for label in summary.labels] == [4, 1, 1]
    assert summary.counts["owl"] == {(MAY_19, 22): 2, (MAY_20, 3): 1, (MAY_21, 22): 1}
    assert summary.by_hour("owl") == [0, 0, 0, 1, *[0] * 18, 3, 0]
    assert summary.by_hour("rain") == [0] * 24
    assert summary.untimed == {"rain": 1}
    assert summary.days == (MAY_19, MAY_20, MAY_21)
    assert str(summary).splitlines() == [
        "      03  22  all",
        "owl    1   3    4",
        "dog    1   .    1",
        "rain   .   .    1",
        "without a time of day: 1",
    ]


def test_events_of_a_pipeline_know_their_times():
    def events(path: str | None) -> Events:
        return Events((Event(t, t + 1.0, "owl", 0.5) for t in (30.0, 90.0)), path)

    name = "card/20240519_225900.wav"
    assert summarize(events(name)).counts == {"owl": {(MAY_19, 22): 1, (MAY_19, 23): 1}}
    several = summarize(events(path) for path in (name, name, None))
    assert several.counts == {"owl": {(MAY_19, 22): 2, (MAY_19, 23): 2}}
    assert several.untimed == {"owl": 2}
    with pytest.raises(ConfigError, match="which know their times, got Event"):
        summarize([Event(0.0, 1.0, "owl", 0.5)])


def test_the_table(tmp_path):
    summary = summarize(SEASON)
    summary.to_csv(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert rows[0].items() >= {"label": "owl", "total": "4", "03": "1", "22": "3"}.items()
    assert rows[2].items() >= {"label": "rain", "total": "1", "no_time": "1"}.items()
    frame = summary.to_dataframe().set_index("label")
    assert frame["22"].tolist() == [3, 0, 0]
    assert list(frame)[:2] == ["total", "00"]


def test_without_events_and_without_times():
    empty = summarize([])
    assert (empty.labels, empty.days, str(empty)) == ((), (), "  all")
    untimed = summarize([heard("dog\n", None)])
    assert str(untimed) == "       all\ndog\\n    1\nwithout a time of day: 1"


def test_summaries_are_made_by_hand_too():
    summary = EventSummary(counts={"owl": {(MAY_19, 22): 2}})
    assert (summary.labels, summary.total("owl")) == (("owl",), 2)
