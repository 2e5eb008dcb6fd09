from __future__ import annotations

import csv
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep import (
    AudioError,
    Classifier,
    ClassifierConfig,
    ClipResult,
    ConfigError,
    DependencyError,
    Event,
    MelConfig,
    Pipeline,
    Prediction,
    Scores,
    to_csv,
    to_dataframe,
)
from soundsep.pipeline import read_events

RATE = 16_000
RESULT = ClipResult(
    predictions=(Prediction("dog", 0.7), Prediction("cat", 0.3)),
    path="card/20240519_033000.WAV",
    duration_seconds=1.25,
)
FAILED = ClipResult(path='b "1",\n2.wav', error="it is not audio")
SEVERAL = ClipResult(predictions=RESULT.predictions, named=RESULT.predictions, duration_seconds=1.0)
SCORES = Scores(
    values=torch.tensor([[0.25, 0.5], [0.75, 1.0]]),
    start_seconds=torch.tensor([0.0, 1.0], dtype=torch.float64),
    labels=("dog", "cat"),
    window_seconds=1.0,
    hop_seconds=1.0,
    duration_seconds=2.0,
)


class LevelMeter(Classifier):
    """A rooster is loud."""

    def predict(self, waveform):
        loud = waveform.abs().mean(dim=1) > 0.1
        return waveform.new_tensor([[0.1, 0.2], [0.75, 0.1]])[loud.long()]


@pytest.fixture
def pipe() -> Pipeline:
    frontend = MelConfig(n_mels=8)
    config = ClassifierConfig(
        labels=("rooster", "rain"),
        network="mn04",
        frontend=frontend,
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    return Pipeline(LevelMeter(config))


@pytest.fixture
def night(tmp_path) -> Path:
    samples = 1e-3 * (-1.0) ** np.arange(RATE * 12)  # a square wave
    samples[RATE * 3 : RATE * 6] *= 500
    path = tmp_path / "20240519T235958+1000_REC.wav"
    soundfile.write(path, samples, RATE)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_a_name_that_is_no_text_can_be_in_a_table_of_text():
    frame = to_dataframe([ClipResult(path="na\udcefve.wav"), ClipResult(path="naïve.wav")])
    assert list(frame["path"]) == ["na\\udcefve.wav", "naïve.wav"]
    frame.to_csv()  # pandas takes no other


def test_events_of_one_recording_and_of_several(pipe, night, tmp_path):
    row = {
        "path": str(night),
        "start_seconds": 3.0,
        "end_seconds": 6.0,
        "label": "rooster",
        "score": 0.75,
        "start_time": "2024-05-20T00:00:01.000+10:00",
    }
    assert pipe.events(night).to_dataframe().to_dict("records") == [row]
    several = to_dataframe(pipe.events(night) for _ in range(2))
    assert several.to_dict("records") == [row, row]
    pipe.events(night).to_csv(tmp_path / "deep" / "a.csv")
    expected = {**row, "start_seconds": "3.0000", "end_seconds": "6.0000", "score": "0.7500"}
    assert read(tmp_path / "deep" / "a.csv") == [expected]
    frame = pipe.events(night, threshold=0.9).to_dataframe()
    assert (len(frame), list(frame)) == (0, list(row))


def test_some_events_of_a_table_make_a_table_again(tmp_path):
    table, written = tmp_path / "season.csv", tmp_path / "owls.csv"
    head = "path,start_seconds,end_seconds,label,score,start_time\n"
    owl = 'a "b",\n.wav'.replace('"', '""')
    rows = [
        f'"{owl}",1.0000,2.5000,owl,0.9120,2024-05-19T22:00:01.000+02:00\n',
        ",1.0000,2.0000,owl,1.0000,\n",
        "c.wav,3.0000,4.0000,dog,0.5000,2024-05-19T22:00:03.500\n",
    ]
    table.write_bytes((head + "".join(rows)).encode())
    to_csv(read_events(table), written)
    assert written.read_bytes() == table.read_bytes()
    to_csv((e for e in read_events(table) if e.event.label == "owl"), written)
    assert written.read_bytes() == (head + rows[0] + rows[1]).encode()
    frame = to_dataframe(list(read_events(table)))
    assert list(frame["start_time"])[2] == "2024-05-19T22:00:03.500"


def test_what_a_recording_is_not_has_no_time(pipe, night):
    samples, rate = soundfile.read(night)
    (row,) = pipe.events(samples, sample_rate=rate).to_dataframe().to_dict("records")
    assert (row["path"], row["start_time"]) == (None, None)
    (row,) = to_dataframe([Event(1.0, 2.0, "dog", 0.5)]).to_dict("records")
    assert (row["path"], row["label"], row["start_time"]) == (None, "dog", None)


def test_a_recording_that_fails_leaves_the_table_as_it_was(pipe, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("before")
    with pytest.raises(AudioError, match=r"no\.wav"):
        pipe.events("no.wav").to_csv(table)
    assert table.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_events_are_let_go_of_before_their_end(pipe, night):
    events = pipe.events(night)
    assert repr(events).startswith(f"Events({night}: an iterator")
    assert next(events).label == "rooster"
    events.close()
    assert list(events) == []


def test_results(tmp_path):
    table = tmp_path / "a.csv"
    to_csv([RESULT, FAILED, SEVERAL], table, top_k=2)
    first, failed, several = read(table)
    assert first == {
        "path": "card/20240519_033000.WAV",
        "duration_seconds": "1.2500",
        "label": "dog",
        "score": "0.7000",
        "labels": "",
        "error": "",
        "start_time": "2024-05-19T03:30:00.000",
        "label_1": "dog",
        "score_1": "0.7000",
        "label_2": "cat",
        "score_2": "0.3000",
    }
    assert (failed["path"], failed["error"]) == ('b "1",\n2.wav', "it is not audio")
    assert {failed[name] for name in ("duration_seconds", "label", "score", "label_1")} == {""}
    assert (several["label"], several["labels"]) == ("dog", "dog; cat")
    frame = to_dataframe(RESULT, top_k=1)
    assert list(frame)[-2:] == ["label_1", "score_1"]
    assert frame["score"].tolist() == [0.7]


def test_a_separated_recording_says_where_each_label_was_heard(tmp_path):
    heard = Prediction("dog", 0.7, "source2"), Prediction("cat", 0.3, "mixture")
    separated = ClipResult(predictions=heard, path="a.wav")
    silent = ClipResult(is_known=False, path="silent.wav")
    table = tmp_path / "a.csv"
    to_csv(iter([FAILED, silent, separated]), table, top_k=2)
    failed, silent, row = read(table)
    ranked = ["label_1", "score_1", "heard_in_1", "label_2", "score_2", "heard_in_2"]
    assert list(row)[-6:] == ranked
    assert [row[f"heard_in_{n}"] for n in (1, 2)] == ["source2", "mixture"]
    assert failed["heard_in_1"] == silent["heard_in_1"] == ""
    frame = to_dataframe([FAILED, separated], top_k=1)
    assert list(frame)[-3:] == ranked[:3]
    assert frame["heard_in_1"].tolist()[1] == "source2"
    assert not any("heard_in" in name for name in to_dataframe([FAILED, RESULT]))


def test_a_list_of_separated_results_and_others_says_where_too():
    separated = ClipResult(predictions=(Prediction("dog", 0.7, "source2"),), path="b.wav")
    for results in ([RESULT, separated], [separated, RESULT], (FAILED, RESULT, separated)):
        heard_in = to_dataframe(results, top_k=1)["heard_in_1"]
        assert heard_in.dropna().tolist() == ["source2"]


def test_an_unknown_sound_has_a_score_and_no_label():
    unknown = ClipResult(predictions=RESULT.predictions, is_known=False)
    (row,) = to_dataframe(unknown, top_k=1).to_dict("records")
    assert (row["label"], row["score"], row["label_1"]) == (None, 0.7, "dog")
    (row,) = to_dataframe(ClipResult(is_known=False)).to_dict("records")
    assert (row["label"], row["label_1"]) == (None, None)
    assert math.isnan(row["score"])


@pytest.mark.parametrize("answers", [[], [ClipResult(error="broken")], [RESULT]])
def test_columns_of_numbers_are_numbers_without_any(answers):
    frame = to_dataframe(answers, top_k=2)
    numbers = [name for name in frame if name.endswith("_seconds") or name.startswith("score")]
    assert len(numbers) == (3 if not answers else 4)
    assert {str(frame[name].dtype) for name in numbers} == {"float64"}


def test_parts_in_parquet_are_read_together_as_documented(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    text = dict.fromkeys(("error", "labels", "start_time"), "string")
    for name, result in {"a": RESULT, "b": ClipResult(path="b.wav", error="broken")}.items():
        to_dataframe(result, top_k=1).astype(text).to_parquet(tmp_path / f"{name}.parquet")
    frame = pandas.read_parquet(tmp_path)
    assert frame["error"].isna().tolist() == [True, False]


def test_scores(tmp_path):
    frame = SCORES.to_dataframe()
    assert list(frame) == ["start_seconds", "end_seconds", "dog", "cat"]
    assert frame.to_numpy().tolist() == [[0, 1.0, 0.25, 0.5], [1.0, 2, 0.75, 1]]
    assert to_dataframe(SCORES).equals(frame)
    SCORES.to_csv(tmp_path / "a.csv")
    assert read(tmp_path / "a.csv")[0]["dog"] == "0.2500"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_of_any_bytes_come_back(tmp_path):
    name = os.fsdecode(b"na\xefve.wav")
    to_csv([ClipResult(path=name, error="x")], tmp_path / "a.csv")
    assert read(tmp_path / "a.csv")[0]["path"] == name


@pytest.mark.parametrize(
    "answers", ["night.wav", 5, [1], [RESULT, SCORES], [Event(0.0, 1.0, "dog", 0.5), RESULT]]
)
def test_what_is_no_answer_is_refused(answers, tmp_path):
    with pytest.raises(ConfigError, match="expected results, events or scores"):
        to_csv(answers, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_a_table_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(ConfigError, match="make a table of each"):
        to_csv([SCORES, SCORES], tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="cannot write"):
        to_csv([RESULT], tmp_path)
    with pytest.raises(ConfigError, match="top_k"):
        to_csv([RESULT], tmp_path / "a.csv", top_k=0)


def test_without_pandas_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DependencyError, match="pip install pandas"):
        to_dataframe([RESULT])
