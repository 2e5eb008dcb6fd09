"""What classify, events and separate share: which recordings, going on, and where they write."""

from __future__ import annotations

import csv
import errno
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from soundsep import Classifier, ClassifierConfig, MelConfig, Separator, SeparatorConfig
from soundsep.cli import claimed_file, main, sinks
from soundsep.cli.claimed_file import ClaimedFile
from soundsep.cli.recordings import own_places
from soundsep.cli.results_file import ResultsFile
from soundsep.errors import ConfigError
from soundsep.models.separation import SEPARATION_NETWORKS
from soundsep.separator.wav import FloatWavWriter

needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk here")
not_on_windows = pytest.mark.skipif(os.name == "nt", reason="names of files are narrower there")


class Halves(nn.Module):
    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return torch.stack((mixture, mixture), dim=1) / 2


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A model for each command."""
    SEPARATION_NETWORKS["halves"] = lambda n_sources: Halves()
    folder = tmp_path_factory.mktemp("models")
    config = ClassifierConfig(
        labels=("dog", "rain"),
        network="mn04",
        frontend=MelConfig(n_mels=8),
        activation="sigmoid",
        window_seconds=0.5,
        hop_seconds=0.5,
    )
    Classifier(config).save_pretrained(folder / "classifier")
    sources = SeparatorConfig(
        sources=("a", "b"), network="halves", sample_rate=8_000, n_channels=1, segment_seconds=1.0
    )
    Separator(Halves(), sources).save_pretrained(folder / "separator")
    names = {"classify": "classifier", "events": "classifier", "separate": "separator"}
    yield {command: str(folder / name) for command, name in names.items()}
    del SEPARATION_NETWORKS["halves"]


def test_a_table_says_where_each_label_was_heard(models, tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(8_000)
    soundfile.write(tmp_path / "a.wav", noise, 16_000)
    table = tmp_path / "a.csv"
    options = ["--model", models["classify"], "--separator", models["separate"], "--top", "1"]
    assert main(["classify", str(tmp_path / "a.wav"), *options, "-o", str(table)]) == 0
    (row,) = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"), newline=""))
    assert row["heard_in_1"] in ("a", "b", "mixture")


def test_a_table_with_other_columns_than_it_would_have_is_not_resumed(models, tmp_path, capsys):
    """Before sources were told, separated recordings had fewer columns."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(8_000)
    soundfile.write(tmp_path / "a.wav", noise, 16_000)
    table = tmp_path / "a.csv"
    options = ["--separator", models["separate"], "--top", "1", "-o", table]
    assert run("classify", models, tmp_path / "a.wav", *options) == 0
    whole = table.read_bytes()
    soundfile.write(tmp_path / "b.wav", noise, 16_000)
    given = tmp_path / "a.wav", tmp_path / "b.wav", *options, "--resume"
    head, _, rows = whole.decode().partition("\n")
    older = head.replace("heard_in_1", "heard_by_1") + "\n" + rows
    table.write_bytes(older.encode())
    assert run("classify", models, *given) == 2
    assert "has other columns than this version" in capsys.readouterr().err
    assert table.read_bytes() == older.encode()
    table.write_bytes(whole)
    assert run("classify", models, *given) == 0
    assert table.read_bytes().startswith(whole)


def test_rows_of_fewer_columns_are_resumed_in_parquet(models, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    noise = 0.1 * np.random.default_rng(0).standard_normal(8_000)
    soundfile.write(tmp_path / "a.wav", noise, 16_000)
    soundfile.write(tmp_path / "b.wav", noise, 16_000)
    table = tmp_path / "a.parquet"
    options = ["--separator", models["separate"], "--top", "1", "-o", table]
    assert run("classify", models, tmp_path / "a.wav", *options) == 0
    lines = tmp_path / ".a.parquet.rows"
    row = json.loads(lines.read_text())
    row["older"] = row.pop("heard_in_1")
    older = json.dumps(row) + "\n"
    padded = older.rstrip("\n").ljust(len(lines.read_text()) - 1) + "\n"
    lines.write_text(padded)
    assert run("classify", models, tmp_path / "b.wav", *options, "--resume") == 0
    first, second = parquet.read_table(table).to_pylist()
    assert first["heard_in_1"] is None
    assert second["heard_in_1"] in ("a", "b", "mixture")


def record(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(0).standard_normal(8_000)
    soundfile.write(io.BytesIO() if path.suffix == ".bad" else path, samples, 8_000, format="WAV")
    return path


@pytest.fixture
def card(tmp_path) -> Path:
    """A card with two recordings, one that is broken, and what else lies on cards."""
    root = tmp_path / "card"
    record(root / "b.WAV")
    record(root / "deep" / "a.wav")
    (root / "c.wav").write_bytes(b"no sound")
    for name in ("._b.WAV", "__MACOSX/b.wav", ".Trashes/x.wav", "log.txt", "deep/more.TXT"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    return root


COMMANDS = ("classify", "events", "separate")


def arguments_of(command: str, models: dict[str, str]) -> list[str]:
    # Every window is an event: the scores of an untrained model are about one half.
    extra = {"events": ["--threshold", "0.001"]}
    return [command, "--model", models[command], *extra.get(command, [])]


def run(command: str, models: dict[str, str], *arguments: object) -> int:
    return main([*arguments_of(command, models), *map(str, arguments)])


def output_of(command: str, folder: Path) -> Path:
    return folder / {"classify": "out.jsonl", "events": "out.csv", "separate": "out"}[command]


def tell(command: str) -> list[str]:
    return ["--format", "csv"] if command == "events" else []


def contents(output: Path) -> dict[str, bytes]:
    paths = [output] if output.is_file() else sorted(output.rglob("*.wav"))
    return {str(path.relative_to(output.parent)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_card_is_gone_through_by_each_command(command, models, card, tmp_path, capsys):
    output = output_of(command, tmp_path)
    assert run(command, models, card, "-o", output, *tell(command)) == 1
    err = capsys.readouterr().err
    passed, *rest = err.splitlines()
    assert passed == "soundsep: passed over: 3 hidden .wav, 2 .txt"
    assert rest[-1] == f"soundsep: 1 of 3 recordings failed; the results are in {output}"
    assert ("c.wav cannot be read as audio" in err) == (command != "classify")
    if command == "separate":
        assert list(contents(output)) == [
            f"out/{name}" for name in ("b/a.wav", "b/b.wav", "deep/a/a.wav", "deep/a/b.wav")
        ]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_run_goes_on_and_a_finished_one_has_nothing_left(
    command, models, card, tmp_path, capsys
):
    whole, output = output_of(command, tmp_path / "whole"), output_of(command, tmp_path)
    assert run(command, models, card, "-o", whole, *tell(command)) == 1
    assert run(command, models, card / "b.WAV", "-o", output, *tell(command)) == 0
    assert run(command, models, card / "b.WAV", "-o", output, *tell(command)) == 2
    assert "--resume" in capsys.readouterr().err
    assert run(command, models, card, "-o", output, *tell(command), "--resume") == 1
    err = capsys.readouterr().err
    assert "1 of 3 recordings failed, 1 done before; the results are in" in err
    assert contents(output) == contents(whole)
    assert run(command, models, card, "-o", output, *tell(command), "--resume") == 1
    assert "1 of 3 recordings failed, 3 done before" in capsys.readouterr().err
    assert contents(output) == contents(whole)
    assert run(command, models, card, "-o", output, *tell(command), "--overwrite") == 1
    assert contents(output) == contents(whole)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_model_among_the_recordings_is_asked_about(command, models, card, capsys):
    for name in (models[command], "esc50-mn04", "htdemucs"):
        assert main([command, name, str(card)]) == 2
        assert f"did you mean --model {name}?" in capsys.readouterr().err


def test_a_folder_of_a_model_and_of_recordings_is_searched(models, card, capsys):
    for name in ("config.json", "model.safetensors"):
        (card / name).write_bytes((Path(models["classify"]) / name).read_bytes())
    assert run("classify", models, card) == 1
    assert "1 .json" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_found_is_an_error_that_counts_what_is_there(command, models, tmp_path, capsys):
    (tmp_path / "x.txt").touch()
    assert run(command, models, tmp_path) == 2
    message = f"soundsep: error: no recordings in {tmp_path} (passed over: 1 .txt)\n"
    assert capsys.readouterr().err == message


# Outputs


@pytest.mark.parametrize("command", ["classify", "events"])
@pytest.mark.parametrize("how", ["same", "relative", "link", "hard link", "other"])
def test_an_output_never_destroys_a_recording(
    how, command, models, card, tmp_path, capsys, monkeypatch
):
    recording, output = card / "b.WAV", card / "b.WAV"
    before = recording.read_bytes()
    if how == "relative":
        monkeypatch.chdir(card / "deep")
        output = Path("../b.WAV")
    elif how in ("link", "hard link"):
        output = tmp_path / "night.jsonl"
        try:
            (output.symlink_to if how == "link" else output.hardlink_to)(recording)
        except OSError:
            pytest.skip("no links here")
    elif how == "other":  # `-o` forgot its own argument: another recording is taken for it
        output, recording = recording, card / "deep" / "a.wav"
    for option in ("--overwrite", "--resume"):
        assert run(command, models, recording, "-o", output, option) == 2
        err = capsys.readouterr().err
        refusals = "is one of the recordings", "has the suffix of a recording", "no format has"
        assert any(refusal in err for refusal in refusals)
    assert (card / "b.WAV").read_bytes() == before
    assert not list(tmp_path.rglob(".*.jsonl"))


def test_separated_sources_never_destroy_a_recording(models, tmp_path, capsys):
    first = record(tmp_path / "yard.wav")
    second = record(tmp_path / "out" / "yard" / "a.wav")
    before = second.read_bytes()
    arguments = (first, second, "-o", tmp_path / "out", "--overwrite")
    assert run("separate", models, *arguments) == 2
    assert "is one of the recordings" in capsys.readouterr().err
    assert second.read_bytes() == before


@not_on_windows
def test_sources_stay_inside_their_folder(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("...wav", "..wav", "~x.wav", "a .wav"):
        record(Path(name))
    names = ("./...wav", "./..wav", "./~x.wav", "a .wav")
    assert run("separate", models, *names, "-o", "new/deep") == 0
    written = sorted(str(p) for p in tmp_path.rglob("a.wav"))
    folders = ("...wav", "..wav", "a", "~x")
    assert written == sorted(str(tmp_path / "new" / "deep" / f / "a.wav") for f in folders)


def test_places_are_short_where_they_can_be_and_never_shared():
    def places(*names: str) -> list[str]:
        found = own_places({name: name for name in names})
        return [path.as_posix() for path in found.values()]

    assert places("a.wav", "deep/a.wav") == ["a", "deep/a"]
    assert places("a.wav", "a.flac", "b.wav") == ["a.wav", "a.flac", "b"]
    assert places("A.wav", "a.flac") == ["A.wav", "a.flac"]
    with pytest.raises(ConfigError, match=r"A\.wav and a\.wav would both be written"):
        places("A.wav", "a.wav")
    with pytest.raises(ConfigError, match="would both be written"):
        own_places({"x/a.wav": "a.wav", "y/a.wav": "a.wav"})


def test_label_files_mirror_the_card_and_none_is_left_of_a_broken_recording(
    models, card, tmp_path, capsys
):
    labels = tmp_path / "labels"
    for format, ending in (("audacity", ".txt"), ("raven", ".Table.1.selections.txt")):
        assert run("events", models, card, "--format", format, "-o", labels / format) == 1
        found = sorted(p.relative_to(labels / format) for p in (labels / format).rglob("*.txt"))
        assert found == [Path(f"b{ending}"), Path(f"deep/a{ending}")]
    bad = card / "c.wav"
    for format in ("table", "csv", "jsonl", "audacity", "raven"):
        output = tmp_path / f"{format}.txt"
        assert run("events", models, bad, "--format", format, "-o", output) == 1
        # A table of recordings says elsewhere which failed; empty labels would be a silent one's.
        assert output.exists() == (format in ("table", "csv", "jsonl"))
    # Its own failure is kept all the same, and a recording that is heard later goes on.
    assert "cannot be read as audio" in capsys.readouterr().err


def test_label_files_are_gone_on_with_and_never_replaced(models, card, tmp_path, capsys):
    arguments = (card, "--format", "audacity", "-o", tmp_path / "labels")
    assert run("events", models, *arguments) == 1
    (tmp_path / "labels" / "b.txt").unlink()
    other = tmp_path / "labels" / "deep" / "a.txt"
    other.write_text("corrected by hand")
    capsys.readouterr()
    assert run("events", models, *arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert run("events", models, *arguments, "--resume") == 1
    assert "2 done before" in capsys.readouterr().err
    assert other.read_text() == "corrected by hand"
    assert (tmp_path / "labels" / "b.txt").exists()
    # Labels of other settings are others, and not done.
    assert run("events", models, *arguments, "--resume", "--threshold", "0.9") == 2
    assert "exists already" in capsys.readouterr().err
    assert other.read_text() == "corrected by hand"


def test_events_go_on_after_a_kill_in_the_middle_of_a_recording(models, card, tmp_path, capsys):
    whole, output = tmp_path / "whole.csv", tmp_path / "out.csv"
    for path in (whole, output):
        assert run("events", models, card, "--format", "csv", "-o", path) == 1
    record = tmp_path / ".out.csv.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6  # a recording begins, and ends
    for n_kept, n_bytes in ((1, 0), (1, 20), (2, None), (5, None)):
        ends = [json.loads(line)["bytes"][-1] for line in lines[:n_kept]]
        record.write_bytes(b"".join(lines[:n_kept]) + b'{"pat')
        size = ends[-1] if n_bytes is None else ends[-1] + n_bytes
        output.write_bytes(whole.read_bytes()[:size])
        assert run("events", models, card, "--format", "csv", "-o", output, "--resume") == 1
        assert output.read_bytes() == whole.read_bytes()
        assert record.read_bytes().endswith(lines[-1])


@pytest.mark.parametrize("places", [5, [], [5], [5, 3], ["0", "9"], [0, 9.5], [-1, 9], None])
def test_a_record_that_was_changed_by_hand_is_refused(models, card, tmp_path, capsys, places):
    output, record = tmp_path / "out.csv", tmp_path / ".out.csv.jsonl"
    given = ("events", models, card, "-o", output)
    assert run(*given) == 1
    *lines, last = record.read_text("utf-8").splitlines()
    changed = json.dumps(json.loads(last) | {"bytes": places})
    record.write_text("\n".join([*lines, changed, ""]), "utf-8")
    written = output.read_bytes()
    for options in (("--resume",), ("--resume", "--retry-failed")):
        capsys.readouterr()
        assert run(*given, *options) == 2
        message = f"line {len(lines) + 1} of {record} was not written by soundsep events"
        assert message in capsys.readouterr().err
        assert output.read_bytes() == written


FORMATS = [
    ("classify", "out.jsonl"),
    ("classify", "out.csv"),
    ("classify", "out.parquet"),
    ("events", "out.csv"),
    ("events", "out.jsonl"),
    ("events", "labels"),
    ("separate", "sources"),
]


@pytest.mark.parametrize(("command", "output"), FORMATS)
def test_recordings_that_failed_are_tried_again_when_asked_for(
    models, tmp_path, capsys, command, output
):
    if output.endswith(".parquet"):
        pytest.importorskip("pyarrow.parquet")
    card, rng = tmp_path / "card", np.random.default_rng(0)
    card.mkdir()
    for name in "bdf":
        soundfile.write(card / f"{name}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    whole = (card / "d.wav").read_bytes()
    away = {card / "a.wav": b"", card / "d.wav": whole[: len(whole) // 2], card / "e.wav": b""}
    for path, there in away.items():
        path.write_bytes(there)
    options = {
        "labels": ("--format", "audacity", "--threshold", "0.1"),
        "sources": (),
    }.get(output, () if command == "classify" else ("--threshold", "0.1"))
    given = (command, models, card, *options, "-o")
    assert run(*given, tmp_path / output) == 1
    *first, last = away
    for path in first:
        path.write_bytes(whole)
    assert "--retry-failed" not in capsys.readouterr().err
    assert run(*given, tmp_path / output, "--resume") == 1
    assert "; --retry-failed tries those again" in capsys.readouterr().err
    assert run(*given, tmp_path / output, "--retry-failed") == 2
    assert "--retry-failed needs --resume" in capsys.readouterr().err
    assert run(*given, tmp_path / output, "--resume", "--retry-failed") == 1
    assert "1 of 5 recordings failed, 2 done before" in capsys.readouterr().err
    last.write_bytes(whole)
    for n_before in (4, 5):
        assert run(*given, tmp_path / output, "--resume", "--retry-failed") == 0
        assert f"5 recordings, none failed, {n_before} done before" in capsys.readouterr().err
    fresh = tmp_path / "fresh" / output
    assert run(*given, fresh) == 0
    assert rows_in(tmp_path / output) == rows_in(fresh)


@pytest.mark.parametrize(("command", "output"), [f for f in FORMATS if "." in f[1]])
def test_a_link_stays_and_a_full_disk_changes_nothing_when_tried_again(
    models, card, tmp_path, monkeypatch, capsys, command, output
):
    if output.endswith(".parquet"):
        pytest.skip("made anew at the end of every run, from one of the others")
    disk, link = tmp_path / "disk", tmp_path / output
    disk.mkdir()
    link.symlink_to(disk / output)
    given = (command, models, card, "-o", link, "--resume")
    assert run(*given) == 1
    before = {p: p.read_bytes() for p in (*disk.iterdir(), *tmp_path.glob(".out*"))}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(claimed_file, "replacing", full)
        capsys.readouterr()
        assert run(*given, "--retry-failed") == 2
    assert re.search(r"cannot write to .*: no space", capsys.readouterr().err)
    assert {p: p.read_bytes() for p in before} == before
    assert run(*given, "--retry-failed") == 1
    assert link.is_symlink()
    assert rows_in(disk / output) == rows_in(link)


def rows_in(output: Path) -> list[object]:
    """What an output holds, in any order, for the recordings tried again come last."""
    if output.is_dir():
        files = sorted(p for p in output.rglob("*") if p.is_file() and p.name[0] != ".")
        return [(str(p.relative_to(output)), p.read_bytes()) for p in files]
    if output.suffix == ".parquet":
        import pyarrow.parquet as pq

        return sorted(pq.read_table(output).to_pylist(), key=str)
    head, *lines = output.read_bytes().splitlines()
    return [head, *sorted(lines)] if output.suffix == ".csv" else sorted([head, *lines])


def test_events_that_were_edited_are_not_cut(models, card, tmp_path, capsys):
    output = tmp_path / "out.csv"
    assert run("events", models, card, "--format", "csv", "-o", output) == 1
    edited = output.read_bytes() + b"mine,0,1,dog,1\n"
    output.write_bytes(edited)
    assert run("events", models, card, "--format", "csv", "-o", output, "--resume") == 2
    assert "was changed since" in capsys.readouterr().err
    # Nor gone on with if it ends before the recording that a stopped run had begun.
    record = tmp_path / ".out.csv.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:-1]))
    output.write_bytes(edited[:20])
    assert run("events", models, card, "--format", "csv", "-o", output, "--resume") == 2
    assert "was changed since" in capsys.readouterr().err
    assert output.read_bytes() == edited[:20]
    record.write_bytes(b"".join(lines))
    output.write_bytes(edited)
    assert run("events", models, card, "--format", "table", "-o", output, "--resume") == 2
    assert "holds results of" in capsys.readouterr().err
    told = ("--format", "csv", "--threshold", "0.9", "--unknown")
    assert run("events", models, card, *told, "-o", output, "--resume") == 2
    before, _, now = capsys.readouterr().err.partition(", not of ")
    assert "--min-duration 0.0 --merge-gap 1.0" in before
    assert re.search(r" csv .*--threshold 0\.9 .*--min-duration 0\.0 .* --unknown;", now)
    (tmp_path / ".out.csv.jsonl").unlink()
    assert run("events", models, card, "--format", "csv", "-o", output, "--resume") == 2
    assert "which lists what is done, is not beside it" in capsys.readouterr().err
    assert output.read_bytes() == edited


@pytest.mark.parametrize("command", COMMANDS)
def test_a_model_is_known_by_what_it_is_and_not_by_its_name(
    command, models, card, tmp_path, capsys
):
    output, mine, copy = output_of(command, tmp_path), tmp_path / "mine", tmp_path / "copy"
    shutil.copytree(models[command], mine)
    shutil.copytree(models[command], copy)
    told = ("-o", output, *tell(command))
    assert run(command, {command: str(mine)}, card, *told) == 1
    before = contents(output)
    assert run(command, {command: str(copy)}, card, *told, "--resume") == 1
    assert "3 done before" in capsys.readouterr().err
    if command == "separate":
        separator = Separator.from_pretrained(mine)
        config = separator.config.replace(segment_seconds=2.0)
        Separator(separator.network, config).save_pretrained(mine)
    else:  # as if fitted again
        classifier = Classifier.from_pretrained(mine)
        with torch.no_grad():
            next(classifier.parameters()).mul_(2.0)
        classifier.save_pretrained(mine)
    assert run(command, {command: str(mine)}, card, *told, "--resume") == 2
    err = capsys.readouterr().err
    if command == "separate":  # where each model has records of its own
        assert "exists already" in err
    else:
        assert len(set(re.findall(rf"{re.escape(str(mine))} \(weights (\w{{12}})\)", err))) == 2
    assert contents(output) == before


def test_a_record_without_weights_is_resumed_by_the_name_of_the_model(models, card, tmp_path):
    """As earlier versions wrote it."""
    output = tmp_path / "out.csv"
    assert run("events", models, card, "-o", output) == 1
    record = tmp_path / ".out.csv.jsonl"
    written = record.read_text("utf-8")
    record.write_text(re.sub(r', "weights": "\w+"', "", written), "utf-8")
    assert '"weights"' in written
    assert '"weights"' not in record.read_text("utf-8")
    assert run("events", models, card, "-o", output, "--resume") == 1


@not_on_windows
def test_csv_holds_names_with_line_breaks(models, tmp_path, capsys):
    odd = [record(tmp_path / name) for name in ("a\nb.wav", "c\rd.wav", 'e,"f.wav')]
    output = tmp_path / "out.csv"
    assert run("events", models, *odd, "--format", "csv", "-o", output) == 0
    with output.open(newline="", encoding="utf-8") as stream:
        assert {row["path"] for row in csv.DictReader(stream)} == set(map(str, odd))
    assert run("events", models, *odd, "--format", "csv") == 0
    printed = io.StringIO(capsys.readouterr().out, newline="")
    assert {row["path"] for row in csv.DictReader(printed)} == set(map(str, odd))


@not_on_windows
@pytest.mark.parametrize("command", COMMANDS)
def test_names_cannot_make_the_terminal_do_anything(command, models, tmp_path, capsys):
    evil = "a\x1b]0;x\x07\u202e\n.wav"
    good, bad = record(tmp_path / evil), tmp_path / f"bad{evil}"
    bad.write_bytes(b"no sound")
    output = ("-o", tmp_path / "out") if command == "separate" else ()
    assert run(command, models, good, bad, tmp_path / f"gone{evil}", *output) == 1
    printed = "".join(capsys.readouterr())
    assert "a\\x1b]0;x\\x07\\u202e\\n.wav" in printed
    assert not set("\x1b\x07\u202e") & set(printed)
    assert all(line.isprintable() for line in printed.splitlines())
    with pytest.raises(SystemExit):
        main([command, "--\x1b[31m"])
    assert "\x1b" not in capsys.readouterr().err


# One run at a time


def results(path: Path, **options: bool) -> ResultsFile:
    return ResultsFile(
        path, model="m", weights="w", **{"resume": True, "overwrite": False} | options
    )


@pytest.mark.parametrize("has_locks", [True, False])
def test_two_runs_do_not_double_lines(has_locks, tmp_path, monkeypatch):
    if not has_locks:
        monkeypatch.setattr(claimed_file, "lock", lambda file: True)
    path = tmp_path / "out.jsonl"
    first = results(path)
    if has_locks:
        with pytest.raises(ConfigError, match="being written by another run"):
            results(path)
        with pytest.raises(ConfigError, match="being written by another run"):
            results(path, overwrite=True, resume=False)
    else:
        second = results(path)
        first.write([{"path": "a.wav"}])
        with pytest.raises(ConfigError, match="changed by another program"):
            second.write([{"path": "a.wav"}])
        second.close()
    first.write([{"path": "b.wav"}])
    first.close()
    again = results(path)
    assert list(again.done) == ([] if has_locks else ["a.wav"]) + ["b.wav"]
    again.close()
    with pytest.raises(ConfigError, match="exists"):
        results(path, resume=False)


def test_a_line_whose_end_an_editor_took_is_not_joined_with_the_next(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"path":"a.wav","model":"m","weights":"w"}')  # no blanks: no line of ours
    file = results(path)
    file.write([{"path": "b.wav"}])
    file.close()
    again = results(path)
    assert list(again.done) == ["a.wav", "b.wav"]
    again.close()


def test_runs_share_a_record_at_the_same_time(tmp_path):
    path = tmp_path / "out.jsonl"
    first, second = (results(path, shared=True) for _ in range(2))
    first.write([{"path": "a.wav"}])
    second.write([{"path": "b.wav", "error": "no sound"}])
    first.write([{"path": "c.wav"}])
    for file in (first, second):
        file.close()
    again = results(path, shared=True)
    assert again.done == {"a.wav": False, "b.wav": True, "c.wav": False}
    again.close()


@pytest.mark.parametrize(
    "line",
    [
        '{"path": ["a.wav"], "model": "m"}',
        '{"path": "a.wav", "model": 5}',
        '{"path": "a.wav"}',
        '["a.wav"]',
        '"a.wav"',
        "5",
        "no JSON",
    ],
)
def test_a_line_of_something_else_is_refused_or_left_to_those_who_share_the_file(line, tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ConfigError, match=r"line 1 of .* was not written by soundsep classify"):
        results(path)
    file = results(path, shared=True)
    assert not file.done
    file.close()
    assert path.read_text() == line + "\n"


def test_a_file_that_appears_meanwhile_is_not_joined(tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="another run"):
        ClaimedFile(path, may_exist=False)
    assert path.read_bytes() == b"mine"


def test_a_file_that_others_append_to_stays_though_nothing_is_in_it_yet(tmp_path):
    path = tmp_path / "new" / "folder" / "out.jsonl"
    first, second = (ClaimedFile(path, may_exist=True, shared=True) for _ in range(2))
    first.close()
    second.append(b"a line\n")
    second.close()
    second.close()  # nothing is left to do
    assert path.read_bytes() == b"a line\n"
    path.write_bytes(b"")
    ClaimedFile(path, may_exist=True).close()
    assert path.exists()  # it was there before


def test_several_runs_append_to_a_shared_file_in_turn(tmp_path):
    path = tmp_path / "out.jsonl"
    runs = [ClaimedFile(path, may_exist=True, shared=True) for _ in range(2)]
    for line in (b"1\n", b"2\n"):
        for run in runs:
            run.append(line)
    for run in runs:
        run.close()
    assert path.read_bytes() == b"1\n1\n2\n2\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_takes_what_any_number_of_runs_write(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    runs = [ClaimedFile(pipe, may_exist=False) for _ in range(2)]
    for run in (*runs, *runs):
        run.append(b"a line\n")
    for run in runs:
        run.close()
    assert os.read(reader, 100) == 4 * b"a line\n"
    os.close(reader)
    assert pipe.is_fifo()


def test_what_cannot_be_a_file_is_not_said_to_be_written_by_another_run(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "out.jsonl", tmp_path):
        with pytest.raises(ConfigError, match="cannot write to"):
            ClaimedFile(path, may_exist=False)


def test_a_run_that_writes_nothing_leaves_nothing(models, card, tmp_path, capsys):
    for command in ("classify", "events"):
        output = tmp_path / "out.jsonl"
        assert main([command, "--model", str(tmp_path / "none"), str(card), "-o", str(output)]) == 2
        assert not output.exists()
        assert not list(tmp_path.glob(".*"))


def test_an_empty_file_is_removed_where_no_open_file_can_be(tmp_path, monkeypatch):
    """As on Windows: it stayed there, and the next run was told that it exists."""
    path, unlink = tmp_path / "out.jsonl", Path.unlink
    file = ClaimedFile(path, may_exist=False)

    def unlink_as_windows(path: Path, **options: bool) -> None:
        try:
            os.fstat(file._file)
        except OSError:  # closed
            unlink(path, **options)
        else:
            raise PermissionError(errno.EACCES, "used by another process", str(path))

    monkeypatch.setattr(claimed_file, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(Path, "unlink", unlink_as_windows)
    file.close()
    assert not path.exists()


def test_runs_share_a_folder_of_sources(models, card, tmp_path, capsys):
    output = tmp_path / "out"
    assert run("separate", models, card / "b.WAV", "-o", output) == 0
    with (output / ".separate.jsonl").open("a") as stream:
        stream.write('{"path": "torn')
    assert run("separate", models, card / "deep" / "a.wav", "-o", output) == 0
    capsys.readouterr()
    both = (card / "b.WAV", card / "deep" / "a.wav")
    assert run("separate", models, *both, "-o", output, "--resume") == 0
    assert "2 recordings, none failed, 2 done before" in capsys.readouterr().err
    # A recording of the same name from another card is no reason to pass it over.
    other = record(tmp_path / "card2" / "b.WAV")
    assert run("separate", models, other, "-o", output, "--resume") == 2
    assert "exists already" in capsys.readouterr().err


def files_in(folder: Path) -> dict[Path, bytes]:
    """What a command has written, without its hidden files."""
    paths = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {p.relative_to(folder): p.read_bytes() for p in paths}


@pytest.mark.parametrize("command", ["events", "separate"])
@pytest.mark.parametrize("where", ["output", "record"])
def test_a_run_that_was_stopped_beside_an_output_of_its_own_goes_on(
    command, where, models, card, tmp_path, capsys, monkeypatch
):
    """Between the output and the record of it there is a moment, which a full disk chooses."""
    (card / "c.wav").unlink()
    options = ["--format", "raven"] if command == "events" else []
    assert run(command, models, card, "-o", tmp_path / "whole", *options) == 0
    write = ResultsFile.write

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_at_the_end(self, results):
        if "unfinished" not in results[0]:
            raise ConfigError("cannot write to the record: No space left on device")
        write(self, results)

    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        if where == "record":
            patch.setattr(ResultsFile, "write", full_at_the_end)
        elif command == "events":
            patch.setattr(sinks, "write_bytes", full)
        else:
            patch.setattr(FloatWavWriter, "finish", full)
        assert run(command, models, card, "-o", output, *options) == 2
    if command == "separate":  # a kill leaves more
        (output / "b").mkdir(exist_ok=True)
        (output / "b" / ".a.wav.tmp").touch()
    if where == "record":  # whose output is it?
        assert run(command, models, card, "-o", output, *options) == 2
        assert "exists already" in capsys.readouterr().err
    assert run(command, models, card, "-o", output, *options, "--resume") == 0
    assert files_in(output) == files_in(tmp_path / "whole")


@pytest.mark.parametrize("command", ["events", "separate"])
def test_resuming_replaces_no_file_that_appeared_during_the_run(
    command, models, card, tmp_path, capsys, monkeypatch
):
    (card / "c.wav").unlink()
    options = ["--format", "raven"] if command == "events" else []
    assert run(command, models, card, "-o", tmp_path / "whole", *options) == 0
    output = tmp_path / "out"
    place = next(path for path in files_in(tmp_path / "whole") if path.parts[0].startswith("b"))
    module = importlib.import_module(f"soundsep.cli.{command}")
    go_through = module.go_through

    def late(*args, **kwargs):
        (output / place).parent.mkdir(parents=True, exist_ok=True)
        (output / place).write_bytes(b"of another program")
        return go_through(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, "go_through", late)
        assert run(command, models, card, "-o", output, *options) == 2
    assert run(command, models, card, "-o", output, *options, "--resume") == 2
    assert capsys.readouterr().err.count("exists already") == 2
    assert (output / place).read_bytes() == b"of another program"


@pytest.mark.parametrize("command", ["events", "separate"])
def test_resuming_replaces_no_output_that_this_run_did_not_begin(
    command, models, card, tmp_path, capsys
):
    (card / "c.wav").unlink()
    options = ["--format", "raven"] if command == "events" else []
    output = tmp_path / "out"
    assert run(command, models, card, "-o", output, *options) == 0
    whole = files_in(output)
    (output / f".{command}.jsonl").unlink()
    capsys.readouterr()
    assert run(command, models, card, "-o", output, *options, "--resume") == 2
    assert "exists already" in capsys.readouterr().err
    assert files_in(output) == whole


@pytest.mark.parametrize("command", COMMANDS)
def test_a_path_that_cannot_be_looked_at_costs_the_others_nothing(
    command, models, card, tmp_path, capsys
):
    """No permission does the same, but root has all of them."""
    output, there = output_of(command, tmp_path), card / "b.WAV"
    elsewhere = tmp_path / ("x" * 300) / "a.wav"
    assert run(command, models, elsewhere, there, "-o", output, *tell(command)) == 1
    assert "1 of 2 recordings failed" in capsys.readouterr().err
    assert contents(output)


# Full disks and no console


@needs_full_disk
@pytest.mark.parametrize("command", ["classify", "events"])
def test_a_full_disk_names_the_file(command, models, card, capsys):
    assert run(command, models, card / "b.WAV", "-o", "/dev/full") == 2
    assert "cannot write to /dev/full: No space left" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_fills_up_names_the_file_and_lines_stay_whole(
    command, models, card, tmp_path, capsys, monkeypatch
):
    output, write, n_written = output_of(command, tmp_path), os.write, 0

    def full(file: int, data: bytes) -> int:
        nonlocal n_written
        n_written += 1
        if n_written % 2:
            return write(file, bytes(data)[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert run(command, models, card, "-o", output, *tell(command)) == 2
    err = capsys.readouterr().err
    assert "cannot write to " in err
    assert "out" in err.split("cannot write to ")[1]
    assert "No space left" in err
    monkeypatch.setattr(os, "write", write)
    if output.is_file():
        assert not output.read_bytes() or output.read_bytes().endswith(b"\n")


@needs_full_disk
def test_a_full_standard_output_is_named(models, card):
    command = [sys.executable, "-m", "soundsep.cli", *arguments_of("classify", models)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, str(card / "b.WAV")], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == (
        "soundsep: error: cannot write to standard output: No space left on device\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_console_the_work_is_done_all_the_same(
    command, models, card, tmp_path, monkeypatch
):
    output = output_of(command, tmp_path)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    assert run(command, models, card, "-o", output, *tell(command)) == 1
    assert len(contents(output)) == (4 if command == "separate" else 1)
    assert sys.stderr is sys.stdout is None
    assert main([command, "--model", "nonesuch", str(card)]) == 2
    with pytest.raises(SystemExit):
        main([command, "--nonesuch"])


@not_on_windows
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_get_into_files(closed, models, card, tmp_path):
    output = tmp_path / "out.csv"
    command = [sys.executable, "-m", "soundsep.cli", *arguments_of("events", models)]
    command += [str(card), "--format", "csv", "-o", str(output)]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    with output.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert {len(row) for row in rows} == {6}
    assert rows[0][0] == "path"
