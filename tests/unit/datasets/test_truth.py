from __future__ import annotations

import json

import pytest
import torch

from soundsep import Event
from soundsep.datasets import Scene, SceneEvent, read_truth, true_events, write_truth
from soundsep.errors import ConfigError, DatasetError

EVENTS = [
    Event(0.0, 1.24, "dog", 1.0),
    Event(0.5, 600.0, 'rain, "heavy"', 1.0),
    Event(12.34, 12.38, "Tür", 1.0),
]


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.json", "t.JAMS"])
def test_what_is_written_is_read_again(tmp_path, name):
    path = tmp_path / "folder" / name
    write_truth(EVENTS, path, duration_seconds=600.0, title="t.wav")
    assert read_truth(path) == EVENTS
    write_truth([], path, duration_seconds=600.0)
    assert read_truth(path) == []


def test_the_files_are_what_others_read(tmp_path):
    write_truth(EVENTS[::2], tmp_path / "t.csv", duration_seconds=600.0)
    assert (tmp_path / "t.csv").read_bytes().decode() == (
        "start_seconds,end_seconds,label\n0.0,1.24,dog\n12.34,12.38,Tür\n"
    )
    write_truth(EVENTS, tmp_path / "t.jams", duration_seconds=600.0, title="t.wav", notes={"a": 1})
    content = json.loads((tmp_path / "t.jams").read_text())
    assert content["file_metadata"]["duration"] == 600.0
    assert content["file_metadata"]["title"] == "t.wav"
    assert content["sandbox"] == {"a": 1}
    (annotation,) = content["annotations"]
    assert annotation["namespace"] == "tag_open"
    assert annotation["data"][2] == {
        "time": 12.34,
        "duration": 0.04,
        "value": "Tür",
        "confidence": 1.0,
    }


def test_an_event_may_last_no_time(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("start_seconds,end_seconds,label\n1.5,1.5,knock\n", encoding="utf-8")
    assert read_truth(path) == [Event(1.5, 1.5, "knock", 1.0)]


def test_tables_of_events_with_other_columns_are_read_in_order(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text(
        "path,start_seconds,end_seconds,label,score\nx.wav,5,6.5,cat,0.7\nx.wav,1,2,dog,0.9\n"
    )
    assert read_truth(path) == [Event(1.0, 2.0, "dog", 1.0), Event(5.0, 6.5, "cat", 1.0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column start_seconds, end_seconds, label; found none"),
        ("start_seconds,label\n1,dog\n", "no column end_seconds"),
        ("start_seconds,end_seconds,label\n1,x,dog\n", "line 2: expected times in seconds"),
        ("start_seconds,end_seconds,label\n1,1_0,dog\n", "line 2: expected times in seconds"),
        ("start_seconds,end_seconds,label\n3,2,dog\n", "line 2: expected a start"),
        ("start_seconds,end_seconds,label\n-1,2,dog\n", "line 2: expected a start"),
        (
            "start_seconds,end_seconds,label\n1,inf,dog\n",
            "line 2: expected a start",
        ),
        (
            "start_seconds,end_seconds,label\nnan,1,dog\n",
            "line 2: expected a start",
        ),
        ("start_seconds,end_seconds,label\n1,2,\n", "line 2: a value is missing: label"),
    ],
)
def test_a_bad_table_is_an_error_that_names_the_line(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message) as error:
        read_truth(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JAMS file of events"),
        ('{"annotations": [{"data": [{"time": 1}]}]}', "is not a JAMS file of events"),
        ('{"annotations": [{"data": {"time": [1]}}]}', "is not a JAMS file of events"),
        (
            '{"annotations": [{"data": [{"time": "1_0", "duration": 1, "value": "a"}]}]}',
            "expected a number, got '1_0'",
        ),
        (
            '{"annotations": [{"data": [{"time": 1%s, "duration": 1, "value": "a"}]}]}'
            % ("0" * 400),
            "is not a JAMS file of events",
        ),
        (
            '{"annotations": [{"data": [{"time": 1, "duration": -2, "value": "a"}]}]}',
            "observation 0: expected a start",
        ),
        (
            '{"annotations": [{"data": [{"time": 1, "duration": 2, "value": 7}]}]}',
            "observation 0: an event needs another label",
        ),
    ],
)
def test_bad_json_is_an_error_that_names_the_file(tmp_path, text, message):
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message) as error:
        read_truth(path)
    assert str(path) in str(error.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"in \.csv, \.json or \.jams"):
        write_truth(EVENTS, tmp_path / "t.txt", duration_seconds=1.0)
    with pytest.raises(ConfigError, match=r"in \.csv, \.json or \.jams"):
        read_truth(tmp_path / "t.wav")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_truth(tmp_path / "absent.json")


def test_what_overlaps_of_one_label_is_one_event():
    spans = [(0, 2, 0), (1, 1.5, 0), (1, 3, 1), (1.8, 4, 0), (4, 5, 0), (5.02, 6, 0)]
    scene = Scene(
        waveform=torch.zeros(1),
        events=tuple(SceneEvent(a, b, target, 7) for a, b, target in spans),
        active=(),
        hidden=(),
        clips=(),
        strangers=(),
        is_clip=False,
    )
    assert true_events(scene, ("dog", "cat")) == [
        Event(0, 5, "dog", 1.0),
        Event(1, 3, "cat", 1.0),
        Event(5.02, 6, "dog", 1.0),
    ]


def test_json_that_is_nested_too_deeply_is_refused_with_its_name(tmp_path):
    path = tmp_path / "night.jams"
    path.write_text("[" * 200_000)
    with pytest.raises(DatasetError, match=r"night\.jams is not JSON: it is nested too deeply"):
        read_truth(path)


@pytest.mark.parametrize(
    "text",
    [
        "1.0\t2.0\tdog\n5.0\t6.5\tcat\n",  # of Audacity
        "Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation\n1\t5\t6.5\tcat\n2\t1\t2\tdog\n",
    ],
)
def test_labels_of_audacity_and_raven_are_truth(tmp_path, text):
    path = tmp_path / "NIGHT.TXT"
    path.write_text(text, encoding="utf-8")
    assert read_truth(path) == [Event(1.0, 2.0, "dog", 1.0), Event(5.0, 6.5, "cat", 1.0)]


def test_space_around_a_label_is_no_part_of_it(tmp_path):
    path = tmp_path / "t.json"
    path.write_text('{"annotations": [{"data": [{"time": 1, "duration": 2, "value": " dog\\n"}]}]}')
    assert read_truth(path) == [Event(1.0, 3.0, "dog", 1.0)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "t.csv",
            "path,start_seconds,end_seconds,label\na.wav,1,2,dog\nb.wav,1,2,dog\nc.wav,1,2,dog\n",
        ),
        (
            "t.txt",
            "Begin Path\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"
            "a.wav\t1\t2\tdog\nb.wav\t1\t2\tdog\nc.wav\t1\t2\tdog\n",
        ),
    ],
)
def test_events_of_several_recordings_are_not_mixed_up(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"events of 3 recordings, such as 'a.wav' and 'b.wav'"):
        read_truth(path)
    path.write_text(text[: text.index("c.wav")], encoding="utf-8")
    with pytest.raises(DatasetError, match=r"events of 2 recordings, such as 'a.wav' and 'b.wav'"):
        read_truth(path)
