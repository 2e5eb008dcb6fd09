"""``soundsep classify`` on many recordings: what is written, and going on with it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep.cli import main
from soundsep.cli.batch import go_through
from soundsep.cli.claimed_file import ClaimedFile

N_MANY = 400


def fill(folder: Path, n: int) -> None:
    """So many recordings, of which the second is none."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(8_000)
    for i in range(n):
        soundfile.write(folder / f"{i:03}.wav", noise, 16_000)
    (folder / "001.wav").write_bytes(b"no sound")


@pytest.fixture
def clips(tmp_path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    fill(folder, 5)
    return folder


def classify(model: str, *arguments: object) -> int:
    return main(["classify", "--model", model, "--top", "1", *map(str, arguments)])


def records(file: Path) -> list[dict]:
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def names(file: Path) -> list[str]:
    return [Path(record["path"]).name for record in records(file)]


def test_output_holds_a_line_of_every_recording_and_a_summary_ends_it(
    model, clips, tmp_path, capsys
):
    output = tmp_path / "out.jsonl"
    assert classify(model, clips, clips / "000.wav", "--output", output) == 1
    assert names(output) == ["000.wav", "001.wav", "002.wav", "003.wav", "004.wav"]
    first, second = records(output)[:2]
    assert first["predictions"][0]["label"] in ("dog", "rain", "siren")
    assert "cannot be read as audio" in second["error"]
    assert {record["model"] for record in records(output)} == {model}
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"soundsep: 1 of 5 recordings failed; the results are in {output}\n"


def test_a_table_has_a_row_for_every_recording(model, clips, tmp_path, capsys):
    (clips / "000.wav").rename(clips / "000 20240519_033000.WAV")
    table = tmp_path / "tags.csv"
    assert classify(model, clips, "-o", table) == 1
    rows = list(csv.DictReader(io.StringIO(table.read_text(), newline="")))
    assert [Path(row["path"]).stem[:3] for row in rows] == ["000", "001", "002", "003", "004"]
    assert [row["start_time"] for row in rows] == ["2024-05-19T03:30:00.000", *[""] * 4]
    assert "cannot be read as audio" in rows[1]["error"]
    assert rows[0]["label"] == rows[0]["label_1"] in ("dog", "rain", "siren")
    assert rows[0]["duration_seconds"] == "0.5000"
    assert f"1 of 5 recordings failed; the results are in {table}" in capsys.readouterr().err
    whole = table.read_bytes()
    assert classify(model, clips, "-o", table) == 2
    (clips / "004.wav").rename(tmp_path / "004.wav")
    table.unlink()
    classify(model, clips, "-o", table, "--overwrite")
    (tmp_path / "004.wav").rename(clips / "004.wav")
    assert classify(model, clips, "-o", table, "--resume") == 1
    assert table.read_bytes() == whole
    assert classify(model, clips, "-o", table, "--resume", "--unknown") == 2
    parquet = pytest.importorskip("pyarrow.parquet")
    assert classify(model, clips, "-o", tmp_path / "tags.parquet") == 1
    read = parquet.read_table(tmp_path / "tags.parquet").to_pylist()
    assert [row["path"] for row in read] == [row["path"] for row in rows]
    assert read[1]["label"] is None
    assert classify(model, clips, "-o", tmp_path / "tags", "--format", "csv", "--top", "2") == 1
    assert (tmp_path / "tags").read_text().splitlines()[0].endswith(",label_2,score_2")
    assert classify(model, clips, "-o", tmp_path / "tags.xls") == 2
    assert "no format has the suffix .xls" in capsys.readouterr().err


def test_results_tell_the_time_of_day(model, clips, capsys):
    (clips / "000.wav").rename(clips / "20240519_033000.WAV")
    assert classify(model, clips / "20240519_033000.WAV", clips / "002.wav", "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["start_time"] == "2024-05-19T03:30:00.000"
    assert "start_time" not in second


def test_an_output_that_exists_is_kept_unless_told_otherwise(model, clips, tmp_path, capsys):
    output = tmp_path / "out.jsonl"
    output.write_text("precious")
    assert classify(model, clips, "--output", output) == 2
    assert classify(model, clips, "--output", output, "--resume") == 2
    assert output.read_text() == "precious"
    message = capsys.readouterr().err
    assert "--overwrite starts over" in message
    assert "line 1" in message
    assert classify(model, clips, "--output", output, "--overwrite") == 1
    assert len(records(output)) == 5


@pytest.mark.parametrize("n_whole", [0, 1, 3])
def test_resume_drops_the_torn_line_and_hears_only_what_is_missing(
    n_whole, model, clips, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "out.jsonl"
    classify(model, clips, "--output", output)
    whole = output.read_bytes().splitlines(keepends=True)
    torn = whole[n_whole]
    for length in (1, 8, len(torn) - 1):
        output.write_bytes(b"".join(whole[:n_whole]) + torn[:length])
        capsys.readouterr()
        assert classify(model, clips, "--output", output, "--resume") == 1
        assert output.read_bytes() == b"".join(whole)
        assert ("done before" in capsys.readouterr().err) == (n_whole > 0)
    # Every recording has its line, the one that failed too: none is heard again.
    (clips / "001.wav").unlink()
    soundfile.write(clips / "001.wav", np.ones(8_000) / 2, 16_000)
    assert classify(model, clips, "--output", output, "--resume") == 1
    assert output.read_bytes() == b"".join(whole)


def test_resume_keeps_the_results_of_two_models_apart(model, clips, tmp_path, capsys):
    output = tmp_path / "out.jsonl"
    classify(model, clips, "--output", output)
    before = output.read_bytes()
    assert classify("esc50-mn04", clips, "--output", output, "--resume") == 2
    assert f"results of the model {model}" in capsys.readouterr().err
    told = ("--top", "1", "--silence-db", "-60")
    assert classify(model, clips, "-o", output, "--resume", *told) == 2
    assert "not of" in (message := capsys.readouterr().err)
    assert "--top 1 --silence-db -60.0" in message
    assert output.read_bytes() == before


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_results_are_not_gone_on_with_by_other_options(name, model, tmp_path, capsys):
    recording, output = tmp_path / "20240519_033000.wav", tmp_path / name
    soundfile.write(recording, 0.1 * np.random.default_rng(0).standard_normal(8_000), 16_000)
    assert classify(model, recording, "-o", output) == 0
    written = output.read_bytes()
    for options in (
        ("--top", "2"),
        ("--channel", "0"),
        ("--time-pattern", "%Y%m%d"),
        ("--silence-db", "-60"),
        ("--unknown",),
        ("--format", "jsonl" if name.endswith("csv") else "csv"),
    ):
        assert classify(model, recording, "-o", output, "--resume", *options) == 2, options
    capsys.readouterr()
    assert classify(model, recording, "-o", output, "--resume", "--batch-size", "3") == 0
    assert output.read_bytes() == written


def test_the_channel_and_the_pattern_of_times_are_those_asked_for(model, tmp_path, capsys):
    noise = 0.1 * np.random.default_rng(0).standard_normal((8_000, 2))
    stereo, mono = tmp_path / "19.05.2024.wav", tmp_path / "b.wav"
    soundfile.write(stereo, noise, 16_000)
    soundfile.write(mono, noise[:, 1], 16_000)
    told = ("--json", "--time-pattern", "%d.%m.%Y")
    assert classify(model, stereo, *told, "--channel", "1") == 0
    assert classify(model, mono, *told[:1]) == 0
    of_stereo, of_mono = map(json.loads, capsys.readouterr().out.splitlines())
    assert of_stereo["predictions"] == of_mono["predictions"]
    assert of_stereo["start_time"] == "2024-05-19T00:00:00.000"
    assert classify(model, stereo, "--channel", "2") == 1
    assert "no channel 2" in capsys.readouterr().err
    assert classify(model, mono, *told) == 2
    assert "matches no name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "need --output"),
        (["--format", "csv"], "need --output"),
        (["-o", "."], "is a folder"),
        (["-o", "/dev/null/out.jsonl"], "cannot write"),
        pytest.param(
            ["--output", "/dev/full", "--overwrite"],
            "No space left",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here"),
        ),
    ],
)
def test_an_output_that_cannot_be_written_is_an_error(arguments, message, model, clips, capsys):
    assert classify(model, clips, *arguments) == 2
    assert message in capsys.readouterr().err


def test_names_of_any_bytes_are_printed_and_found_again(model, clips, tmp_path, capsys):
    strange = clips / os.fsdecode(b"na\xefve.wav")
    (clips / "002.wav").rename(strange)
    assert classify(model, strange) == 0
    assert "na\\udcefve.wav" in capsys.readouterr().out
    output = tmp_path / "out.jsonl"
    for option in ("--overwrite", "--resume"):
        assert classify(model, strange, "--output", output, option) == 0
    assert [record["path"] for record in records(output)] == [str(strange)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_with_the_count_of_failures(model, clips, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert classify(model, clips, "--json", "--batch-size", "2") == 1
    last_state = screen.getvalue().rsplit("\r", 1)[1]
    assert "5/5" in last_state
    assert "failed=1" in last_state


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_what_was_written_before_an_interrupt_is_kept(tmp_path, monkeypatch):
    file, write = ClaimedFile(tmp_path / "out.jsonl", may_exist=False), os.write

    def interrupted(*arguments) -> int:
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.append(b"a line\n")
    file.close()
    assert (tmp_path / "out.jsonl").read_bytes() == b"a line\n"


def test_a_write_that_the_system_makes_in_parts_is_whole(tmp_path, monkeypatch):
    file, write = ClaimedFile(tmp_path / "out.jsonl", may_exist=False), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    file.append(b"a line\n")
    file.append(b"another\n")
    file.close()
    assert (tmp_path / "out.jsonl").read_bytes() == b"a line\nanother\n"


@pytest.mark.parametrize(
    ("n_done", "said"),
    [
        (0, "no results are in a.csv yet"),
        (1, "1 result is in a.csv"),
        (2, "2 results are in a.csv"),
    ],
)
def test_ctrl_c_tells_how_much_is_done(n_done, said, capsys):
    def work(group):
        if int(group[0]) == n_done:
            raise KeyboardInterrupt
        yield None

    with pytest.raises(KeyboardInterrupt):
        go_through(["0", "1", "2"], work, output=Path("a.csv"), can_resume=True)
    assert (
        capsys.readouterr().err == f"soundsep: {said}; the same command with --resume continues\n"
    )


def test_ctrl_c_promises_no_more_than_a_later_run_can_do(capsys):
    def work(group):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go_through(["0", "1"], work, output=Path("clips"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("paths", "done", "options", "said", "code"),
    [
        (["a"], {}, {}, "", 0),
        (["a"], {}, {"always_sum_up": True}, "1 recording, done", 0),
        (["a"], {"a": False}, {}, "1 recording, done, 1 done before", 0),
        (["a", "b"], {}, {}, "2 recordings, none failed", 0),
        (["a", "bad"], {}, {}, "1 of 2 recordings failed", 1),
        (["a", "b"], {"gone": True}, {}, "2 recordings, none failed", 0),  # not of this run
        (
            ["a", "b"],
            {"b": True},
            {},
            "1 of 2 recordings failed, 1 done before; --retry-failed tries those again that failed "
            "before",
            1,
        ),
    ],
)
def test_a_summary_counts_the_recordings_of_the_run(paths, done, options, said, code, capsys):
    def work(group):
        yield from ("no sound" if path == "bad" else None for path in group)

    assert go_through(paths, work, done=done, **options) == code
    assert capsys.readouterr().err == (f"soundsep: {said}\n" if said else "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_run_that_is_stopped_leaves_whole_lines_and_a_rerun_the_rest(
    name, model, tmp_path, capsys
):
    how = signal.Signals[name]
    folder, output = tmp_path / "clips", tmp_path / "out.jsonl"
    folder.mkdir()
    fill(folder, N_MANY)
    command = ["classify", "--model", model, "--batch-size", "4", "--output", output, folder]
    with subprocess.Popen(
        [sys.executable, "-m", "soundsep.cli", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background of a shell is started deaf to Ctrl-C.
        preexec_fn=lambda: name != "SIGKILL" and signal.signal(how, signal.SIG_DFL),
    ) as process:
        while process.poll() is None and (not output.exists() or not output.stat().st_size):
            time.sleep(0.005)
        process.send_signal(how)
        message = process.stderr.read()
    if name != "SIGKILL":
        assert process.returncode == 128 + how
        assert "--resume continues\nsoundsep: stopped\n" in message
    else:
        assert process.returncode == -how
    written = names(output)
    assert 0 < len(written) < N_MANY
    assert written == [f"{i:03}.wav" for i in range(len(written))]
    assert main([*map(str, command), "--resume"]) == 1
    assert names(output) == [f"{i:03}.wav" for i in range(N_MANY)]
    assert f"{len(written)} done before" in capsys.readouterr().err
