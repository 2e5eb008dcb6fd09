from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta, timezone

import pytest

from soundsep import ConfigError, DatasetError, DependencyError, Event, Gap
from soundsep.pipeline import read_events
from soundsep.pipeline.tables import Table

CLOCK = datetime(2024, 5, 19, 3, 30, 12, 500_000, tzinfo=timezone(timedelta(hours=2)))
ROW = {"path": "a.wav", "start_seconds": 12.5, "end_seconds": 20.0, "label": "dog", "score": 0.9}
EVENT = Event(12.5, 20.0, "dog", 0.9)
HEAD = "start_seconds,end_seconds,label"


def test_what_was_written_is_read(tmp_path):
    row = {**ROW, "start_time": CLOCK.isoformat(timespec="milliseconds")}
    columns = tuple(row)
    Table(columns, [row, {**row, "start_time": None}]).to_csv(tmp_path / "a.csv")
    assert list(read_events(tmp_path / "a.csv")) == [
        ("a.wav", EVENT, CLOCK),
        ("a.wav", EVENT, None),
    ]


def test_columns_that_a_table_may_lack(tmp_path):
    (tmp_path / "a.csv").write_text(f"{HEAD},notes\n0,1.5,dog,mine\n", encoding="utf-8-sig")
    assert list(read_events(tmp_path / "a.csv")) == [("", Event(0.0, 1.5, "dog", 1.0), None)]
    (tmp_path / "B.CSV").write_text(f"{HEAD},score\n0,0,dog,0\n0,0,dog,1\n")
    assert [found.event.score for found in read_events(tmp_path / "B.CSV")] == [0.0, 1.0]
    (tmp_path / "a.ndjson").write_text(
        '{"start_seconds": 0, "end_seconds": 1.5, "label": "dog", '
        '"start_time": "2024-05-19T03:30:00Z"}\n\n'
    )
    (found,) = read_events(tmp_path / "a.ndjson")
    assert found.start_time == datetime(2024, 5, 19, 3, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", f"{HEAD}\n0,1\n", "line 2"),
        ("a.csv", "a,label\n1,2\n", "no column start_seconds, end_seconds; found a, label$"),
        ("a.csv", f"{HEAD}\n2,1,dog\n", "an end not before it"),
        ("a.csv", f"{HEAD}\n0,inf,dog\n", "an end not before it"),
        ("a.csv", f"{HEAD}\nnan,1,dog\n", "an end not before it"),
        ("a.csv", f"{HEAD}\nx,1,dog\n", "could not convert"),
        ("a.csv", f"{HEAD}\n0,1_0,dog\n", "line 2: expected a number, got '1_0'"),
        ("a.csv", f"{HEAD},score\n0,1,dog,0.1_5\n", "line 2: expected a number, got '0.1_5'"),
        ("a.jsonl", '{"start_seconds": "1_0", "end_seconds": 12, "label": "a"}', "got '1_0'"),
        ("a.csv", f"{HEAD},score\n0,1,dog,2\n", "score from 0 to 1"),
        ("a.csv", f"{HEAD},start_time\n0,1,dog,19.05.24\n", "line 2: Invalid isoformat"),
        ("a.jsonl", "[1]\n", "line 1: expected values"),
        ("a.jsonl", '{"path"\n', "not a table of events"),
        ("a.jsonl", '{"start_seconds": [1], "end_seconds": 2, "label": "a"}', "line 1: float"),
        (
            "a.jsonl",
            '{"start_seconds": 1, "end_seconds": 1%s, "label": "a"}' % ("0" * 400),
            "line 1",
        ),
        ("a.csv", f'{HEAD}\n0,1,"{"x" * 200_000}"\n', "not a table of comma-separated text"),
        ("a.csv", f'{HEAD}\n0,1,"dog\n2,3,cat\n', "unexpected end of data"),
        ("a.csv", f"{HEAD}\n0,1,dog, barking\n", "more values than columns"),
        ("a.csv", f"{HEAD},label\n0,1,dog,cat\n", "several columns label"),
        ("a.csv", HEAD.replace(",", ";"), "separate the columns by commas"),
        ("a.csv", "", "no column start_seconds, end_seconds, label; found none"),
        ("a.csv", f"{HEAD}\n0,1,do\x07g\n", "not a label"),
        ("a.csv", f"{HEAD}\n0,1e15,dog\n", "at most 1e"),
        ("a.csv", f"{HEAD},start_time\n0,1,dog,9999-12-31T23:59:59\n", "from 1860 to"),
        ("a.jsonl", '{"start_seconds": 0, "end_seconds": 1, "label": ["a"]}', "a text as label"),
        ("a.jsonl", '{"start_seconds": true, "end_seconds": 1, "label": "a"}', "and numbers"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(name, text, message, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        list(read_events(tmp_path / name))


def test_the_gaps_of_a_live_recording_are_left_out(tmp_path):
    heard = [Event(1.0, 2.0, "dog", 0.75), Gap(2.0, 2.5), Event(3.0, 4.0, "rain", 0.5)]
    path = tmp_path / "live.jsonl"
    path.write_text("".join(json.dumps(one.to_dict()) + "\n" for one in heard))
    assert [timed.event for timed in read_events(path)] == [heard[0], heard[2]]


def test_other_endings_and_a_missing_pyarrow(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="expected a table of events"):
        list(read_events(tmp_path / "a.xlsx"))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DependencyError, match="pip install pyarrow"):
        list(read_events(tmp_path / "a.parquet"))


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist([ROW]), tmp_path / "a.parquet")
    assert list(read_events(tmp_path / "a.parquet")) == [("a.wav", EVENT, None)]
    (tmp_path / "b.parquet").write_bytes(b"no table")
    with pytest.raises(DatasetError, match="not a table of events"):
        list(read_events(tmp_path / "b.parquet"))


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_of_any_bytes_come_back(tmp_path):
    name = os.fsdecode(b"na\xefve.wav")
    Table(tuple(ROW), [{**ROW, "path": name}]).to_csv(tmp_path / "a.csv")
    (found,) = read_events(tmp_path / "a.csv")
    assert found.path == name
