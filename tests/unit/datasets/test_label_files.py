from __future__ import annotations

import pytest

from soundsep.datasets.label_files import read_labels
from soundsep.errors import DatasetError

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tAnnotation\n"


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def spans(path):
    return [(r.recording, r.label, r.start_seconds, r.end_seconds) for r in read_labels(path)]


def test_a_table_of_events_is_read_as_it_was_written(tmp_path):
    path = write(
        tmp_path,
        "night.csv",
        "path,start_seconds,end_seconds,label,score,start_time\r\n"
        "card/1.wav,12.5000,20.0000,rooster,0.9120,\r\n"
        '"card/a, b.wav",0.0000,1.0000,owl,1.0000,2024-05-19T03:30:00.000\r\n',
    )
    assert spans(path) == [
        ("card/1.wav", "rooster", 12.5, 20.0),
        ("card/a, b.wav", "owl", 0.0, 1.0),
    ]


def test_a_label_track_of_audacity_is_read(tmp_path):
    text = '\ufeff0.500000\t2.000000\tgreat tit\n\\\t1000.0\t8000.0\n3,5\t4,25\tan "owl\n\n'
    path = write(tmp_path, "night.txt", text)
    assert spans(path) == [("", "great tit", 0.5, 2.0), ("", 'an "owl', 3.5, 4.25)]


def test_a_selection_table_of_raven_is_read_once_for_all_views(tmp_path):
    path = write(
        tmp_path,
        "night.Table.1.selections.txt",
        RAVEN + "1\tWaveform 1\t1\t1.0\t2.0\t0\towl\n1\tSpectrogram 1\t1\t1.0\t2.0\t0\towl\n"
        "2\tSpectrogram 1\t1\t3.0\t4.5\t0\ttit\n",
    )
    assert spans(path) == [("", "owl", 1.0, 2.0), ("", "tit", 3.0, 4.5)]


def test_times_of_raven_over_several_files_are_those_in_the_file(tmp_path):
    path = write(
        tmp_path,
        "all.txt",
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tSpecies\n"
        "1\t10\t12\ta.wav\t10\towl\n2\t3605\t3606.5\tb.wav\t5\towl\n",
    )
    assert spans(path) == [("a.wav", "owl", 10.0, 12.0), ("b.wav", "owl", 5.0, 6.5)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "path,label,start_seconds\n1.wav,x,0\n", "no column end_seconds; a table with"),
        ("a.csv", "path,label,start_seconds,end_seconds\n1.wav,x,0,\n", "line 2: a value is miss"),
        ("a.csv", "path,label,start_seconds,end_seconds\n1.wav,x,2,1\n", "line 2: expected a sta"),
        ("a.csv", "path,label,start_seconds,end_seconds\n1.wav,x,nan,1\n", "line 2: expected a s"),
        ("a.csv", "path,label,start_seconds,end_seconds\n1.wav,x,0:01,1\n", "line 2: expected ti"),
        ("a.csv", "path,label,start_seconds,end_seconds\n1.wav,x,-1,1\n", "line 2: expected a st"),
        ("a.txt", "1.0\t2.0\towl\n1.0\t2.0\t\n", r"line 2: the label at 1 s has no text"),
        ("a.txt", "1.0\t2.0\n", r"line 1: the label at 1 s has no text"),
        ("a.txt", "1.0\t1.0\towl\n", r"line 1: the label marks a point, at 1 s"),
        ("a.txt", "1_0\t20\towl\n", "line 1: expected times in seconds"),
        ("a.txt", "1.0\tinf\towl\n", "line 1: expected a start of at least 0 s and an end"),
        ("a.txt", "just a note\n", r"line 1: expected start, end and label, separated by tabs"),
        ("a.txt", "1.0\t2.0\tow\u202el\n", "line 1: a class needs another name"),
        ("a.txt", RAVEN + "1\tS\t1\t1.0\t2.0\t0\t\n", "line 2: a value is missing: Annotation"),
        ("a.txt", RAVEN.replace("Annotation", "Notes"), "a column of labels: annotation.*Notes"),
        ("a.txt", RAVEN + "1\tS\t1\t1.0\n", "line 2: a value is missing"),
        ("a.txt", RAVEN + "1\tS\t1\t1.0\t\t0\towl\n", "line 2: expected times in seconds"),
    ],
)
def test_wrong_lines_are_refused_with_their_place(tmp_path, name, text, message):
    with pytest.raises(DatasetError, match=message):
        read_labels(write(tmp_path, name, text))


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"RIFF\xff\xfe\x00")
    with pytest.raises(DatasetError, match="is not text in UTF-8"):
        read_labels(tmp_path / "a.txt")


def test_a_quotation_mark_in_a_label_hides_no_line(tmp_path):
    text = '0\t1\t"owl" far\n1\t2\t"tit\n2\t3\towl\n3\t4\t"a ""b"""\n4\t5\t"wren"\n5\t6\t"\n'
    path = write(tmp_path, "night.txt", text)
    labels = [label for _, label, _, _ in spans(path)]
    assert labels == ['"owl" far', '"tit', "owl", 'a "b"', "wren", '"']


def test_a_track_without_labels_holds_none(tmp_path):
    assert read_labels(write(tmp_path, "night.txt", "")) == []


def test_a_line_of_raven_that_ends_too_soon_is_named(tmp_path):
    text = "Annotation\tBegin Time (s)\tEnd Time (s)\nowl\t1\t2\ntit\n"
    with pytest.raises(DatasetError, match=r"night\.txt, line 3: expected times in seconds"):
        read_labels(write(tmp_path, "night.txt", text))
