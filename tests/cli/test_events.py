from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep import Classifier, ClassifierConfig, Event, Gap, MelConfig, Pipeline
from soundsep.cli import main
from soundsep.cli.formats import EventLines
from soundsep.cli.sinks import Screen
from soundsep.pipeline import read_events
from soundsep.pipeline.events import EVENT_COLUMNS


class LevelMeter(Classifier):
    """A rooster is loud and rain is not."""

    def predict(self, waveform):
        loud = waveform.abs().mean(dim=1) > 0.1
        return waveform.new_tensor([[0.1, 0.75], [0.75, 0.1]])[loud.long()]


def tone(n_samples: int, level: float) -> np.ndarray:
    """A square wave of the highest pitch."""
    return level * (-1.0) ** np.arange(n_samples)


@pytest.fixture(autouse=True)
def model(monkeypatch) -> None:
    config = ClassifierConfig(
        labels=("rooster", "rain"),
        network="mn04",
        frontend=MelConfig(n_mels=8),
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    pipe = Pipeline(LevelMeter(config))
    monkeypatch.setattr(Pipeline, "from_pretrained", lambda *_, **__: pipe)


@pytest.fixture
def clip(tmp_path) -> str:
    samples = tone(16_000 * 12, 1e-3)
    samples[16_000 * 3 : 16_000 * 6] *= 500
    path = tmp_path / "yard, back.wav"
    soundfile.write(path, samples, 16_000)
    return str(path)


def run(*arguments: str) -> int:
    return main(["events", *arguments, "--label", "rooster"])


def test_a_table_for_people(clip, capsys):
    assert run(clip) == 0
    assert capsys.readouterr().out == "    3.00 -     6.00 s  0.750  rooster\n"


@pytest.mark.parametrize("label", ["Rooster", "ROOSTER"])
def test_the_case_of_a_label_does_not_matter(label, clip, capsys):
    assert main(["events", clip, "--label", label]) == 0
    assert capsys.readouterr().out == "    3.00 -     6.00 s  0.750  rooster\n"


def test_an_unknown_label_gets_a_hint(clip, capsys):
    assert main(["events", clip, "--label", "roster"]) == 2
    assert "no label 'roster', did you mean 'rooster'?" in capsys.readouterr().err


def test_what_is_not_on_the_screen_is_said_to_be_elsewhere(clip, tmp_path, capsys):
    table = tmp_path / "night.csv"
    assert run(clip, "-o", str(table)) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"soundsep: 1 recording, done; the results are in {table}\n"


def test_what_the_model_doubts_can_be_left_out(clip, monkeypatch, capsys):
    pipe, given = Pipeline.from_pretrained("any"), {}
    monkeypatch.setattr(
        Pipeline, "from_pretrained", lambda *_, **options: given.update(options) or pipe
    )
    assert run(clip, "--unknown", "--silence-db", "-50") == 0
    assert (given["unknown"], given["silence_db"]) == (True, -50)
    monkeypatch.setattr(pipe, "unknown", True)
    monkeypatch.setattr(
        pipe.classifier, "config", pipe.classifier.config.replace(unknown_below=0.8)
    )
    capsys.readouterr()
    assert run(clip) == 0
    assert capsys.readouterr().out == ""  # 0.75


def test_json_and_csv_for_programs(clip, capsys):
    assert run(clip, clip, "--format", "jsonl") == 0  # given twice, heard once
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = {"start_seconds": 3.0, "end_seconds": 6.0, "label": "rooster", "score": 0.75}
    assert records == [{"path": clip, **expected, "start_time": None}]
    assert run(clip, "--format", "csv") == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert row["path"] == clip
    assert (float(row["start_seconds"]), row["label"]) == (3.0, "rooster")


@pytest.fixture
def card(tmp_path) -> Path:
    """Three recordings of an hour apart, of which the second is none."""
    folder = tmp_path / "CARD"
    folder.mkdir()
    for hour, kind in ((0, "loud"), (22, "loud"), (23, "broken")):
        path = folder / f"20240519_{hour:02}5959.WAV"
        soundfile.write(path, tone(16_000 * 2, 0.5), 16_000)
        if kind == "broken":
            path.write_bytes(b"no sound")
    return folder


def test_a_card_to_a_table_with_the_time_of_day(card, tmp_path, capsys):
    table = tmp_path / "night.csv"
    assert run(str(card), "-o", str(table)) == 1
    assert f"1 of 3 recordings failed; the results are in {table}" in capsys.readouterr().err
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["path"], row["start_time"]) for row in rows] == [
        (str(card / "20240519_005959.WAV"), "2024-05-19T00:59:59.000"),
        (str(card / "20240519_225959.WAV"), "2024-05-19T22:59:59.000"),
    ]
    assert rows[0].items() >= {"end_seconds": "2.0000", "label": "rooster"}.items()
    before = table.read_bytes()
    soundfile.write(card / "20240520_000000.WAV", tone(16_000, 0.5), 16_000)
    assert run(str(card), "-o", str(table)) == 2
    assert run(str(card), "-o", str(table), "--resume") == 1
    assert "3 done before" in capsys.readouterr().err
    assert table.read_bytes().startswith(before)
    assert table.read_bytes().count(b"\n") == before.count(b"\n") + 1


def test_the_ending_of_the_output_is_its_format(clip, tmp_path, capsys):
    def written(name: str, *options: str) -> str:
        assert run(clip, "-o", str(tmp_path / name), *options) == 0
        return (tmp_path / name).read_text()

    assert json.loads(written("a.jsonl"))["label"] == "rooster"
    assert json.loads(written("a.ndjson"))["label"] == "rooster"
    assert written("A.CSV").startswith("path,start_seconds,")
    assert written("a.txt") == "3.0000\t6.0000\trooster\n"
    assert written("a.Table.1.selections.txt").startswith("Selection\t")
    assert written("a") == written("b.txt", "--format", "table")
    assert written("b.csv", "--format", "jsonl").startswith("{")
    for name, message in (("a.xlsx", "no format has the suffix .xlsx"), ("", "is a folder")):
        assert run(clip, "-o", str(tmp_path / name)) == 2
        assert message in capsys.readouterr().err
    assert run(clip, str(tmp_path / "b.flac"), "-o", str(tmp_path / "c.txt")) == 2
    assert "-o FOLDER and --format audacity" in capsys.readouterr().err


def test_parquet_is_made_of_what_is_done_and_gone_on_with(card, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "night.parquet"
    assert run(str(card), "-o", str(file)) == 1
    rows = parquet.read_table(file).to_pylist()
    assert [row["start_time"] for row in rows] == [
        "2024-05-19T00:59:59.000",
        "2024-05-19T22:59:59.000",
    ]
    assert rows[0]["score"] == 0.75
    before = file.read_bytes()
    assert run(str(card), "-o", str(file)) == 2
    soundfile.write(card / "20240520_000000.WAV", tone(16_000, 0.5), 16_000)
    assert run(str(card), "-o", str(file), "--resume") == 1
    assert parquet.read_table(file).to_pylist()[:2] == rows
    assert parquet.read_table(file).num_rows == 3
    file.unlink()  # as a kill would have left it
    capsys.readouterr()
    assert run(str(card), "-o", str(file)) == 2
    assert "was begun by a run that was stopped" in capsys.readouterr().err
    assert run(str(card), "-o", str(file), "--resume") == 1
    assert parquet.read_table(file).num_rows == 3
    (tmp_path / ".night.parquet.rows").unlink()
    assert run(str(card), "-o", str(file), "--resume") == 2
    (card / "20240520_000000.WAV").unlink()
    assert run(str(card), "-o", str(file), "--overwrite") == 1
    assert parquet.read_table(file) == parquet.read_table(io.BytesIO(before))
    quiet = tmp_path / "quiet.parquet"
    for option in ("--overwrite", "--resume"):
        assert run(str(card), "-o", str(quiet), "--min-score", "0.9", option) == 1
        assert parquet.read_table(quiet).num_rows == 0


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "txt"])
def test_what_is_done_without_an_event_is_not_done_again(ending, clip, tmp_path, capsys):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    output = tmp_path / f"events.{ending}"
    for option in ("--overwrite", "--resume"):
        assert run(clip, "--min-score", "0.9", "-o", str(output), option) == 0
        assert output.exists()
    assert "1 done before" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "txt"])
def test_recordings_that_all_failed_are_tried_again_only_when_asked_for(ending, tmp_path, capsys):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    output, broken = tmp_path / f"events.{ending}", tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")

    def heard(*options: str, status: int = 1) -> str:
        kind = "table" if ending == "txt" else ending
        assert run(str(broken), "-o", str(output), "--format", kind, *options) == status
        assert output.exists()
        return capsys.readouterr().err

    assert "cannot be read" in heard()
    if ending == "csv":
        assert output.read_text().splitlines() == [",".join(EVENT_COLUMNS)]
    again = heard("--resume")
    assert "1 done before" in again
    assert "cannot be read" not in again
    assert "cannot be read" in heard("--resume", "--retry-failed")
    soundfile.write(broken, tone(16_000, 0.5), 16_000)
    heard("--resume", "--retry-failed", status=0)


def test_parquet_needs_pyarrow_and_a_file(clip, tmp_path, monkeypatch, capsys):
    assert run(clip, "--format", "parquet") == 2
    assert "needs -o FILE" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert run(clip, "-o", str(tmp_path / "a.parquet")) == 2
    assert "pip install pyarrow" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [Path(clip)]


def test_a_table_is_not_gone_on_with_by_other_options(tmp_path, capsys):
    path, table = str(tmp_path / "20240519_033000.wav"), tmp_path / "out.csv"
    soundfile.write(path, tone(32_000, 0.5), 16_000)
    given = path, "-o", str(table)
    assert run(*given) == 0
    written = table.read_bytes()
    for options in (
        ("--threshold", "0.3"),
        ("--threshold", "rain=0.3"),
        ("--label", "rain"),
        ("--hop", "0.25"),
        ("--min-duration", "0.1"),
        ("--merge-gap", "0"),
        ("--min-score", "0.1"),
        ("--channel", "0"),
        ("--time-pattern", "%Y%m%d"),
        ("--silence-db", "-60"),
        ("--unknown",),
        ("--format", "jsonl"),
    ):
        capsys.readouterr()
        assert run(*given, *options, "--resume") == 2, options
        assert "holds results of" in capsys.readouterr().err
    assert run(*given, "--resume", "--batch-size", "3") == 0  # the same rows
    assert table.read_bytes() == written


def test_of_two_thresholds_for_a_label_a_table_is_gone_on_with_by_the_last(tmp_path, capsys):
    path, table = str(tmp_path / "a.wav"), tmp_path / "out.csv"
    soundfile.write(path, tone(32_000, 0.5), 16_000)
    low, high = ("--threshold", "rain=0.3"), ("--threshold", "rain=0.6")
    assert run(path, "-o", str(table), *low, *high) == 0
    assert run(path, "-o", str(table), "--resume", *high, *low) == 2
    assert "holds results of" in capsys.readouterr().err
    assert run(path, "-o", str(table), "--resume", *high) == 0


@pytest.mark.parametrize("kind", ["table", "csv"])
def test_a_recording_that_was_interrupted_is_not_done(kind, tmp_path, monkeypatch, capsys):
    samples = tone(16_000 * 12, 1e-3)
    samples[16_000 * 1 : 16_000 * 3] *= 500
    samples[16_000 * 7 : 16_000 * 9] *= 500
    paths = [str(tmp_path / name) for name in ("a.wav", "b.wav")]
    for path in paths:
        soundfile.write(path, samples, 16_000)
    given = (*paths, "--format", kind)
    assert run(*given) == 0
    shown = capsys.readouterr().out
    names = [name for line in shown.splitlines() for name in paths if name in line]
    each = 1 if kind == "table" else 2  # a title above two events, or a name in each row
    assert names == [name for name in paths for _ in range(each)]
    assert shown.count("rooster") == 4
    find = Pipeline.events

    def interrupted(pipe, path, **options):
        events = find(pipe, path, **options)
        yield next(events)
        if path == paths[1]:
            raise KeyboardInterrupt
        yield from events

    output = tmp_path / "out.txt"
    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "events", interrupted)
        assert run(*given, "-o", str(output)) == 130
    assert output.read_text().count("rooster") == 3
    assert run(*given, "-o", str(output), "--resume") == 0
    assert output.read_text() == shown


def test_a_program_gets_each_row_at_once_and_in_utf_8(monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="ascii"))
    screen = Screen(EventLines("csv", high_hz=8_000, titles=False), None)
    with screen.recording("sirène.wav") as write:
        for n_rows in (1, 2):
            write(Event(1.0, 2.0, "dog", 0.75))
            assert out.getvalue().decode().count("sirène.wav,1.0000,2.0000") == n_rows


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_gets_the_table_and_its_end(clip, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run(clip, "--format", "csv", "-o", str(tmp_path / "pipe")) == 0
    (row,) = csv.DictReader(os.read(reader, 10_000).decode().splitlines())
    assert row["label"] == "rooster"
    assert os.read(reader, 1) == b""  # else nothing yet, which is an error
    os.close(reader)


def test_a_pattern_of_ones_own_for_the_time(card, tmp_path, capsys):
    soundfile.write(card / "dog.wav", tone(16_000, 0.5), 16_000)
    options = (str(card), "--format", "jsonl", "--time-pattern")
    assert run(*options, "%Y%m%d_%H") == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["start_time"] for line in out.splitlines()] == [
        "2024-05-19T00:00:00.000",
        "2024-05-19T22:00:00.000",
        None,
    ]
    assert "matches the names of 3 of 4 recordings" in err
    assert run(*options, "%d-%m-%Y") == 2
    assert "matches no name" in capsys.readouterr().err
    assert run(*options, "%d-%Q") == 2


def test_thresholds_of_single_labels_and_a_least_score(clip, capsys):
    def labels(*options: str) -> list[str]:
        assert main(["events", clip, "--format", "jsonl", *options]) == 0
        lines = capsys.readouterr().out.splitlines()
        return [json.loads(line)["label"] for line in lines]

    assert labels() == ["rain", "rooster", "rain"]
    assert labels("--threshold", "Rain=0.8") == ["rooster"]
    assert labels("--threshold", "rain=0.6", "--threshold", "0.8") == ["rain", "rain"]
    assert labels("--min-score", "0.8") == []
    for option, message in (("cat=0.5", "knows no label 'cat'"), ("rooster=7", "at most 1")):
        assert main(["events", clip, "--threshold", option]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["events", clip, "--threshold", "rooster"])
    assert "LABEL=SCORE" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_clips_are_cut_out_and_gone_on_with(ending, card, tmp_path, capsys):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    table, clips = tmp_path / f"night.{ending}", tmp_path / "clips"
    options = (str(card), "-o", str(table), "--clips", str(clips), "--clip-margin", "0")
    assert run(*options) == 1
    assert f"2 of 2 clips written to {clips}" in capsys.readouterr().err
    first = clips / "rooster" / "20240519_005959_00h00m00.00s_rooster_0.750.WAV".lower()
    names = sorted(path.name for path in (clips / "rooster").iterdir())
    assert names[0] == first.name
    assert soundfile.info(first).frames == 32_000
    soundfile.write(card / "20240520_000000.WAV", tone(16_000, 0.5), 16_000)
    first.unlink()
    assert run(*options, "--resume") == 1
    assert "2 of 3 clips written" in (message := capsys.readouterr().err)
    assert "1 existed already" in message
    assert len([*clips.rglob("*.wav")]) == 3
    assert run(*options, "--overwrite", "--clips-per-label", "1") == 1
    assert "1 of 1 clips written" in capsys.readouterr().err


def test_clips_of_a_damaged_recording_are_cut_and_counted(tmp_path, capsys):
    night, clips = tmp_path / "night.wav", tmp_path / "clips"
    samples = tone(16_000 * 40, 1e-3)
    for second in (1, 5, 16):  # it breaks off after 20 s
        samples[16_000 * second : 16_000 * (second + 2)] *= 500
    soundfile.write(night, samples, 16_000)
    night.write_bytes(night.read_bytes()[: 2 * 16_000 * 20])
    assert run(str(night), "--clips", str(clips), "--clip-margin", "3") == 1
    cut = [soundfile.info(path).duration for path in sorted(clips.rglob("*.wav"))]
    assert len(cut) == 3
    assert cut[-1] < 8 == round(cut[1])  # its margin ends at the damage
    err = capsys.readouterr().err
    assert "3 of 3 clips written" in err
    assert "existed" not in err
    assert "; 1 recording could not be read to the end" in err


def test_clips_without_a_table_and_of_recordings_of_one_name(clip, card, tmp_path, capsys):
    other = tmp_path / "CARD2"
    shutil.copytree(card, other)
    clips = tmp_path / "clips"
    assert run(str(tmp_path / "CARD*"), "--clips", str(clips)) == 1
    names = {path.name[:21] for path in clips.rglob("*.wav")}
    assert names == {
        "CARD_20240519_005959_",
        "CARD_20240519_225959_",
        "CARD2_20240519_005959",
        "CARD2_20240519_225959",
    }
    assert run(clip, "--clips", clip) == 2
    assert "is a file" in capsys.readouterr().err
    track = str(tmp_path / "a.txt")
    assert run(clip, "-o", track, "--resume", "--clips", str(clips)) == 2
    assert "audacity holds too little" in capsys.readouterr().err
    assert run(clip, "--clips", str(clips), "--clip-margin", "-1") == 2


def test_labels_that_would_share_a_folder_of_clips_are_refused_first(
    clip, tmp_path, capsys, monkeypatch
):
    classifier = Pipeline.from_pretrained().classifier
    classifier.config = classifier.config.replace(labels=("rain?", "rain"))
    monkeypatch.setattr(Pipeline, "events", lambda *_, **__: pytest.fail("heard"))
    assert main(["events", clip, "--clips", str(tmp_path / "clips")]) == 2
    assert "'rain?' and 'rain' would share the folder 'rain'" in capsys.readouterr().err


def test_a_label_track_for_audacity(clip, tmp_path):
    assert run(clip, "--format", "audacity", "-o", str(tmp_path / "deep" / "labels.txt")) == 0
    assert (tmp_path / "deep" / "labels.txt").read_text() == "3.0000\t6.0000\trooster\n"


def test_a_selection_table_for_raven_for_each_recording(clip, tmp_path, capsys):
    other = tmp_path / "b.flac"
    soundfile.write(other, tone(16_000 * 2, 0.5), 16_000)
    assert run(clip, str(other), "--format", "raven") == 2
    assert "-o FOLDER" in capsys.readouterr().err
    assert run(clip, str(other), "--format", "raven", "-o", str(tmp_path / "tables")) == 0
    text = (tmp_path / "tables" / "b.Table.1.selections.txt").read_text()
    (row,) = csv.DictReader(text.splitlines(), delimiter="\t")
    assert row == {
        "Selection": "1",
        "View": "Spectrogram 1",
        "Channel": "1",
        "Begin Time (s)": "0.0000",
        "End Time (s)": "2.0000",
        "Low Freq (Hz)": "0.0",
        "High Freq (Hz)": "8000.0",
        "Annotation": "rooster",
        "Score": "0.7500",
    }
    assert (tmp_path / "tables" / "yard, back.Table.1.selections.txt").exists()


def test_a_selection_for_raven_lies_within_its_recording(tmp_path):
    path, table = tmp_path / "a.wav", tmp_path / "a.selections.txt"
    loud = 0.5 * np.sign(np.sin(np.arange(8_000 * 4)))
    both = np.stack([0 * loud, loud], axis=1)
    soundfile.write(path, both, 8_000)
    assert run(str(path), "--channel", "1", "-o", str(table)) == 0
    (row,) = csv.DictReader(table.read_text().splitlines(), delimiter="\t")
    assert row["High Freq (Hz)"] == "4000.0"
    assert row["Channel"] == "2"


def test_nothing_is_replaced_unasked_and_a_recording_never(clip, tmp_path, capsys):
    track, before = tmp_path / "night.txt", Path(clip).read_bytes()
    track.write_text("mine")
    assert run(clip, "-o", str(track)) == 2
    assert "exists already" in capsys.readouterr().err
    assert track.read_text() == "mine"
    assert run(clip, "-o", str(track), "--overwrite") == 0
    assert "rooster" in track.read_text()
    assert run("no.wav", clip, "-o", clip, "--overwrite") == 2
    assert "is one of the recordings" in capsys.readouterr().err
    assert Path(clip).read_bytes() == before


def test_recordings_of_one_name_are_not_written_to_one_file(clip, tmp_path, capsys):
    other = tmp_path / "other" / Path(clip).name
    arguments = (clip, str(other), "--format", "audacity", "-o", str(tmp_path / "labels"))
    assert run(*arguments) == 2
    assert "both be written" in capsys.readouterr().err
    assert not (tmp_path / "labels").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_a_name_that_is_no_text_is_printed(clip, tmp_path, capsys):
    odd = tmp_path / "b\udcff.wav"
    odd.write_bytes(Path(clip).read_bytes())
    assert run(clip, str(odd)) == 0
    assert "b\\udcff.wav" in capsys.readouterr().out
    pytest.importorskip("pyarrow")
    table = tmp_path / "\udcff" / "b\udcff.parquet"
    assert run(clip, str(odd), "-o", str(table)) == 0
    assert {Path(path).name for path, *_ in read_events(table)} == {
        Path(clip).name,
        "b\\udcff.wav",
    }


def test_options_reach_the_search(clip, capsys):
    assert run(clip, "--min-duration", "5") == 0
    assert run(clip, "--threshold", "0.8") == 0
    assert capsys.readouterr().out == ""
    assert main(["events", clip]) == 0
    assert capsys.readouterr().out.count("rain") == 2


def test_a_bad_recording_is_told_and_the_others_go_on(clip, capsys):
    assert run("no.wav", clip) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].endswith("rooster")
    assert "no.wav does not exist" in err
    assert "1 of 2 recordings failed" in err


@pytest.mark.parametrize(
    ("option", "message"),
    [(("--label", "cat"), "knows no label 'cat'"), (("--hop", "9"), "hop_seconds")],
)
def test_bad_options_are_refused(clip, capsys, option, message):
    assert run(clip, *option) == 2
    assert message in capsys.readouterr().err


def test_listen_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["listen"]) == 2
    assert "soundsep[live]" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e300"])
def test_listen_refuses_a_time_that_no_timer_takes(seconds, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # before it looks for a microphone
    assert main(["listen", "--seconds", seconds]) == 2
    assert "--seconds must be a number from 0" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "device"), [("3", 3), ("USB 2", "USB 2")])
def test_listen_takes_an_input_a_time_and_the_options_of_events(name, device, monkeypatch, capsys):
    given = []

    def heard(pipe, microphone, *, stop, **options):
        options.pop("began")(Event(1.0, 1.5, "rain", 0.5))
        given.append((microphone, options))
        assert stop.wait(10)
        yield from (Event(1.0, 2.0, "rain", 0.75), Gap(2.0, 2.5))

    monkeypatch.setattr("soundsep.pipeline.microphone.Microphone", lambda *, device: device)
    monkeypatch.setattr("soundsep.pipeline.microphone.listen", heard)
    options = ["--threshold", "0.3", "--label", "rain", "--hop", "0.25", "--batch-size", "3"]
    assert main(["listen", "--microphone", name, "--seconds", "0.01", *options, "--json"]) == 0
    ((microphone, options),) = given
    assert microphone == device
    assert options == {
        "threshold": {"rooster": 0.3, "rain": 0.3},
        "hop_seconds": 0.25,
        "min_duration_seconds": 0.0,
        "merge_gap_seconds": 1.0,
        "labels": ["rain"],
        "min_score": 0.0,
        "batch_size": 3,
    }
    printed = capsys.readouterr()
    assert "soundsep: rain began at 1.00 s\n" in printed.err
    event, gap = map(json.loads, printed.out.splitlines())  # what others read has no other lines
    assert event == Event(1.0, 2.0, "rain", 0.75).to_dict()
    assert gap == Gap(2.0, 2.5).to_dict()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_the_end_of_a_service_stops_listening_as_ctrl_c_does(monkeypatch, capsys):
    def heard(*_, stop, **__):
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        yield "the last event"

    monkeypatch.setattr("soundsep.pipeline.microphone.Microphone", lambda **_: None)
    monkeypatch.setattr("soundsep.pipeline.microphone.listen", heard)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["listen"]) == 0
    assert capsys.readouterr().out == "the last event\n"
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("is_main", [True, False])
def test_listen_in_any_thread_leaves_the_handler_of_interrupts(is_main, monkeypatch, capsys):
    seen = []

    def heard(*_, stop, **__):
        seen.append(signal.getsignal(signal.SIGINT))
        if is_main:
            signal.raise_signal(signal.SIGINT)
            assert stop.is_set()
        yield "the last event"

    monkeypatch.setattr("soundsep.pipeline.microphone.Microphone", lambda **_: None)
    monkeypatch.setattr("soundsep.pipeline.microphone.listen", heard)
    before = signal.getsignal(signal.SIGINT)
    if is_main:
        assert main(["listen"]) == 0
    else:
        with ThreadPoolExecutor() as pool:
            assert pool.submit(main, ["listen"]).result() == 0
    assert capsys.readouterr().out == "the last event\n"
    assert signal.getsignal(signal.SIGINT) == before
    assert (seen == [before]) != is_main


def test_a_recording_that_is_too_short_is_named(tmp_path, capsys):
    soundfile.write(tmp_path / "one.wav", np.zeros(1), 24_000)
    assert main(["events", str(tmp_path / "one.wav")]) == 1
    assert "one.wav is too short to analyse" in capsys.readouterr().err


def test_digital_silence_is_a_recording_that_failed(tmp_path, capsys):
    soundfile.write(tmp_path / "dead.wav", np.zeros(32_000), 16_000)
    assert run(str(tmp_path / "dead.wav")) == 1
    assert "dead.wav is digital silence" in capsys.readouterr().err


def test_one_channel_of_stereo(tmp_path, capsys):
    samples = np.stack([tone(16_000 * 12, 1e-3)] * 2, axis=1)
    samples[16_000 * 3 : 16_000 * 6, 1] *= 500
    path = str(tmp_path / "stereo.wav")
    soundfile.write(path, samples, 16_000)
    assert run(path, "--channel", "1") == 0
    assert "rooster" in capsys.readouterr().out
    assert run(path, "--channel", "0") == 0
    assert capsys.readouterr().out == ""
    assert run(path, "--channel", "2") == 1
    assert "no channel 2" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(path, "--channel", "-1")
