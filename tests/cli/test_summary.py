from __future__ import annotations

import numpy as np
import pytest
import soundfile

from soundsep.cli import main

HEAD = "path,start_seconds,end_seconds,label,score,start_time\n"
ROWS = (
    "a/0519_22.wav,1.0,2.0,owl,0.9,2024-05-19T22:00:01.000+02:00\n"
    "a/0519_22.wav,7200.0,7201.0,owl,0.6,2024-05-20T00:00:01.000+02:00\n"
    "a/0520_03.wav,1.0,2.0,dog,0.9,\n"
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "night.csv"
    path.write_text(HEAD + ROWS)
    return path


def test_counts_are_printed_written_and_drawn(table, tmp_path, capsys):
    counts, picture = tmp_path / "counts.csv", tmp_path / "season.png"
    options = ("-o", str(counts), "--picture", str(picture))
    assert main(["summary", str(table), *options]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "     00  22  all",
        "owl   1   1    2",
        "dog   .   .    1",
        "without a time of day: 1",
    ]
    assert f"wrote {picture}" in err
    assert picture.stat().st_size > 5_000
    assert counts.read_text().startswith("label,total,00,")
    assert main(["summary", str(table), *options]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["summary", str(table), "-o", str(table), "--overwrite"]) == 2
    assert table.read_text() == HEAD + ROWS


def test_labels_scores_and_times_of_names(table, capsys):
    assert main(["summary", str(table), str(table), "--min-score", "0.7", "--label", "owl"]) == 0
    assert capsys.readouterr().out.splitlines() == ["     22  all", "owl   2    2"]
    assert main(["summary", str(table), "--time-pattern", "%m%d"]) == 2
    renamed = table.with_name("b.csv")
    renamed.write_text(table.read_text().replace("a/", "a/2024"))
    assert main(["summary", str(renamed), "--time-pattern", "%Y%m%d_%H"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["00", "03", "22", "all"]
    assert main(["summary", str(table), "--label", "owll"]) == 2
    assert "did you mean 'owl'" in capsys.readouterr().err


def test_a_score_equal_to_the_limit_in_float32_reaches_it(table, capsys):
    table.write_text(f"{HEAD}a.wav,1.0,2.0,owl,{float(np.float32(0.7))},\n")
    assert main(["summary", str(table), "--min-score", "0.7"]) == 0
    assert "owl    1" in capsys.readouterr().out


def test_a_clock_that_was_reset_is_noted(table, capsys):
    assert main(["summary", str(table)]) == 0
    assert not capsys.readouterr().err
    table.write_text(f"{table.read_text()}a/b.wav,1.0,2.0,owl,0.9,1970-01-01T00:00:01.000\n")
    assert main(["summary", str(table)]) == 0
    err = capsys.readouterr().err
    assert "nothing from 1970-01-01 to 2024-05-19; the clock of a recorder may have been" in err


def test_what_was_recorded_stands_below(table, tmp_path, capsys):
    (tmp_path / "card").mkdir()
    soundfile.write(tmp_path / "card" / "20240519_220000.wav", np.zeros(3_600_000), 1_000)
    soundfile.write(tmp_path / "card" / "dog.wav", np.zeros(3_600_000), 1_000)
    assert main(["summary", str(table), "--recordings", str(tmp_path / "card")]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[3].split() == ["recorded", "(h)", ".", "1.0", "1.0"]
    assert "1 of 2 recordings state no time of day" in err


def test_no_events_and_no_table(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(HEAD)
    assert main(["summary", str(tmp_path / "a.csv")]) == 0
    assert "there are no events" in capsys.readouterr().err
    assert main(["summary", str(tmp_path / "a.csv"), "--picture", str(tmp_path / "a.png")]) == 2
    assert "no event has a time of day" in capsys.readouterr().err
    assert main(["summary", str(tmp_path / "b.csv")]) == 2
