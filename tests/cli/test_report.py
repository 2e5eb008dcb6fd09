from __future__ import annotations

import json
import re

import numpy as np
import pytest
import soundfile

from soundsep.cli import main
from soundsep.examples import example

RATE = 8_000
HEAD = "path,start_seconds,end_seconds,label,score,start_time\n"


def data_of(page):
    return json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', page.read_text())[1])


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "20240519_220000.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE)
    soundfile.write(path, noise, RATE)
    return path


@pytest.fixture
def table(tmp_path, recording):
    path = tmp_path / "night.csv"
    rows = f"{recording},1.0,2.0,owl,0.9,\n{recording},2.0,3.0,dog,0.4,\nother.wav,2.0,3.0,dog,1,\n"
    path.write_text(HEAD + rows)
    return path


def test_a_report_of_what_the_model_hears_and_of_what_cannot_be_read(tmp_path, capsys):
    page, broken = tmp_path / "night.html", tmp_path / "broken.wav"
    broken.write_text("none")
    assert main(["report", str(example("night")), str(broken), "-o", str(page)]) == 1
    assert "1 of 2 recordings failed" in capsys.readouterr().err
    data = data_of(page)
    assert [shown["name"] for shown in data["recordings"]] == ["night.ogg"]
    assert "crickets" in data["labels"]
    assert main(["report", str(broken), "-o", str(tmp_path / "b.html")]) == 2
    assert "no recording could be read" in capsys.readouterr().err


def test_a_report_of_a_table(recording, table, tmp_path, capsys):
    page = tmp_path / "night.html"
    command = ["report", str(recording), "--events", str(table), "-o", str(page)]
    assert main([*command, "--title", "My <night>"]) == 0
    err = capsys.readouterr().err
    assert "events of 1 other recording are left out, such as other.wav" in err
    assert "2 events; the page" in err
    data = data_of(page)
    assert data["title"] == "My <night>"
    assert "<title>My &lt;night&gt;</title>" in page.read_text()
    assert [row[1] for row in data["events"]] == [1.0, 2.0]
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--min-score", "0.5", "--label", "Owl"]) == 0
    assert "soundsep: 1 event; the page" in capsys.readouterr().err
    assert [row[1] for row in data_of(page)["events"]] == [1.0]
    assert main([*command, "--overwrite", "--label", "owk"]) == 0
    assert "no event of 'owk', did you mean 'owl'?" in capsys.readouterr().err
    assert data_of(page)["events"] == []


def test_a_recording_that_cannot_be_read_costs_a_table_nothing_else(
    recording, table, tmp_path, capsys
):
    broken, page = recording.with_name("20240519_210000.wav"), tmp_path / "night.html"
    broken.write_bytes(b"")
    table.write_text(f"{table.read_text()}{broken},1.0,2.0,ant,0.9,\n")
    command = ["report", str(broken), str(recording), "--events", str(table), "-o", str(page)]
    assert main(command) == 1
    err = capsys.readouterr().err
    assert "20240519_210000.wav cannot be read as audio: it is an empty file" in err
    assert "2 events; the page" in err
    data = data_of(page)
    assert [shown["name"] for shown in data["recordings"]] == [recording.name]
    assert data["labels"] == ["dog", "owl"]
    assert [row[0] for row in data["events"]] == [0, 0]
    recording.write_bytes(b"")
    assert main([*command, "--overwrite"]) == 2
    assert "no recording can be read: " in capsys.readouterr().err


def test_wrong_names_are_said_before_the_work(recording, table, tmp_path, capsys):
    assert main(["report", str(recording), "-o", str(tmp_path / "a.csv")]) == 2
    assert "ends in .html" in capsys.readouterr().err
    table.write_text(HEAD + "other.wav,2.0,3.0,dog,1,\n")
    command = ["report", str(recording), "--events", str(table), "-o", str(tmp_path / "a.html")]
    assert main(command) == 2
    assert "from the folder in which the table was made" in capsys.readouterr().err
