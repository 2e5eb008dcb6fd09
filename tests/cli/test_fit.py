from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline, fit
from soundsep.cli import fit as command
from soundsep.cli import main


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> str:
    config = ClassifierConfig(
        labels=("x", "y"),
        network="resnet18",
        frontend=MelConfig(n_mels=8),
        window_seconds=0.5,
        hop_seconds=0.25,
    )
    folder = tmp_path_factory.mktemp("backbone")
    Classifier(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def folder(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for label, hz in (("high", 3_000), ("low", 300)):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for i in range(5):
            tone = np.sin(2 * np.pi * (hz + 10 * i) * np.arange(8_000) / 16_000)
            noise = 0.01 * rng.standard_normal(8_000)
            soundfile.write(tmp_path / "clips" / label / f"{i}.wav", 0.3 * tone + noise, 16_000)
    return tmp_path / "clips"


def run(*arguments: object) -> int:
    return main(["fit", *map(str, arguments)])


def test_a_folder_in_a_model_and_a_report_out(folder, backbone, tmp_path, capsys):
    out = tmp_path / "made" / "model"
    assert run(folder, "-o", out, "--backbone", backbone, "--folds", 2) == 0
    printed = capsys.readouterr()
    assert "held-out accuracy  100.0%" in printed.out
    assert "2 folds, 10 recordings" in printed.out
    assert "What the accuracy is worth" in printed.out
    assert f"soundsep classify --model {out} FILE" in printed.out
    assert sorted(p.name for p in out.iterdir()) == [
        "config.json",
        "fit_report.json",
        "model.safetensors",
    ]
    saved = json.loads((out / "fit_report.json").read_text(encoding="utf-8"))
    assert saved["accuracy"] == 1.0
    assert saved["interval_95"][1] == 1.0
    assert Pipeline.from_pretrained(out)(folder / "low" / "0.wav").label == "low"


def test_recordings_are_grouped_by_name(folder, backbone, tmp_path, capsys):
    for path in folder.glob("*/4.wav"):
        path.rename(path.with_name("3-b.wav"))
    options = ("-o", tmp_path / "model", "--backbone", backbone, "--group", r"^\d")
    assert run(folder, *options) == 0
    assert "10 clips, 4 recordings" in capsys.readouterr().out


def test_a_bad_file_is_reported_and_left_out(folder, backbone, tmp_path, capsys):
    (folder / "low" / "bad.wav").write_bytes(b"no audio")
    assert run(folder, "-o", tmp_path / "model", "--backbone", backbone) == 1
    printed = capsys.readouterr()
    reason = f"left out: {folder / 'low' / 'bad.wav'} cannot be read as audio"
    assert printed.out.count(reason) == 1
    assert printed.err.splitlines() == [
        "soundsep: clips or backgrounds left out: 1; the report says why"
    ]
    assert Classifier.from_pretrained(tmp_path / "model").labels == ("high", "low")


def test_mistakes_are_answered_before_the_work(folder, backbone, tmp_path, capsys):
    (tmp_path / "file").touch()
    for arguments, message in (
        ((tmp_path / "gone", "-o", tmp_path / "m"), "no folder"),
        ((folder / "low", "-o", tmp_path / "m"), "give the one above it"),
        ((folder, "-o", tmp_path / "file"), "cannot write to"),
        ((folder, "-o", tmp_path / "m", "--group", "("), "not a regular expression"),
        ((folder, "-o", tmp_path / "m", "--folds", 1, "--backbone", backbone), "n_folds must be"),
        ((folder, "-o", tmp_path / "m", "--backbone", "nonesuch"), "nonesuch"),
    ):
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "m" / "config.json").exists()


def test_a_model_that_exists_is_kept_unless_told_otherwise(folder, backbone, tmp_path, capsys):
    out = tmp_path / "model"
    out.mkdir()
    (out / "notes.txt").write_text("other files are no hindrance")
    assert run(folder, "-o", out, "--backbone", backbone, "--folds", 2) == 0
    before = (out / "model.safetensors").read_bytes()
    (folder / "low" / "4.wav").unlink()
    assert run(folder, "-o", out, "--backbone", backbone, "--folds", 2) == 2
    assert "--overwrite to replace the model" in capsys.readouterr().err
    assert (out / "model.safetensors").read_bytes() == before
    assert run(folder, "-o", out, "--backbone", backbone, "--folds", 2, "--overwrite") == 0
    assert (out / "model.safetensors").read_bytes() != before


def test_no_clip_and_no_class_is_dropped_without_a_word(folder, backbone, tmp_path, capsys):
    (folder / "medium").mkdir()
    (folder / "medium" / "score.mid").touch()
    (folder / "low" / "._0.wav").touch()
    (folder / "stray.wav").touch()
    assert run(folder, "-o", tmp_path / "m", "--backbone", backbone, "--folds", 2) == 0
    printed = capsys.readouterr()
    assert printed.out.count("warning: passed over: 1 .mid, 1 hidden .wav\n") == 1
    assert printed.err == ""
    assert "medium/ holds no audio and is not a class" in printed.out
    assert "outside of the subfolders, left out: 1" in printed.out


def test_a_folder_of_backgrounds_is_learnt_as_nothing(folder, backbone, tmp_path, capsys):
    rng = np.random.default_rng(1)
    (tmp_path / "places").mkdir()
    for i in range(2):
        soundfile.write(tmp_path / "places" / f"{i}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    out = tmp_path / "model"
    options = ("-o", out, "--backbone", backbone, "--background", tmp_path / "places")
    assert run(folder, *options) == 0
    pipe = Pipeline.from_pretrained(out)
    assert pipe.classifier.config.activation == "sigmoid"
    assert pipe(tmp_path / "places" / "0.wav").label is None


def evaluate(out, data, *options: object) -> int:
    return main(["evaluate", str(out), "--overwrite", *map(str, (*data, *options))])


def test_a_model_is_not_measured_on_what_it_was_fitted_to(
    folder, backbone, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "model"
    assert run(folder, "-o", out, "--backbone", backbone) == 0
    capsys.readouterr()
    data = ("--data", folder)
    assert evaluate(out, data) == 2
    told = capsys.readouterr().err
    assert "was fitted to all 10 clips, so its metrics there say nothing" in told
    assert "fit_report.json" in told
    assert evaluate(out, data, "--any-clip") == 0
    assert "clips              10" in capsys.readouterr().out
    for label in ("high", "low"):  # other names do not make other clips
        (folder / label / "0.wav").rename(folder / label / "new.wav")
        samples, rate = soundfile.read(folder / label / "1.wav")
        soundfile.write(folder / label / "other.wav", samples * 0.5, rate)
    assert evaluate(out, data) == 0
    printed = capsys.readouterr()
    assert "left out 10 of 12 clips" in printed.err
    assert "clips              2" in printed.out
    (out / "fit_report.json").unlink()
    assert evaluate(out, data) == 0
    assert "clips              12" in capsys.readouterr().out


def test_other_parts_of_a_recording_are_known_too(nights, backbone, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "model"
    lines = nights.read_text().splitlines()
    half = tmp_path / "half.csv"
    half.write_text("\n".join(lines[:15]) + "\n")  # recordings 0 and 1, and a part of 2
    assert run(half, "-o", out, "--backbone", backbone, "--folds", 2) == 0
    capsys.readouterr()
    assert evaluate(out, ("--annotations", nights)) == 0
    printed = capsys.readouterr()
    assert "left out 18 of 24 clips" in printed.err
    assert "accuracy           100.00%" in printed.out


@pytest.fixture
def nights(tmp_path) -> Path:
    """Four recordings of 20 s: high and low tones in turn, of a second each, with noise between."""
    rng = np.random.default_rng(0)
    (tmp_path / "card").mkdir()
    lines = ["path,start_seconds,end_seconds,label,score,start_time"]
    for i in range(4):
        wave = 0.01 * rng.standard_normal(20 * 16_000)
        for k in range(6):
            label, hz = (("high", 3_000), ("low", 300))[k % 2]
            start = 16_000 * (1 + 3 * k)
            time = np.arange(16_000) / 16_000
            wave[start : start + 16_000] += 0.3 * np.sin(2 * np.pi * (hz + 10 * i + k) * time)
            lines.append(f"card/{i}.wav,{1 + 3 * k}.0000,{2 + 3 * k}.0000,{label},0.9000,")
        soundfile.write(tmp_path / "card" / f"{i}.wav", wave, 16_000)
    table = tmp_path / "night.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_a_corrected_table_of_events_becomes_a_model(nights, backbone, tmp_path, capsys):
    out = tmp_path / "model"
    assert run(nights, "-o", out, "--backbone", backbone) == 0
    printed = capsys.readouterr().out
    assert "2 classes, 24 clips, 4 recordings" in printed
    assert "held-out accuracy  100.0%" in printed
    assert "4 folds, 4 recordings" in printed  # pieces of a recording are held out together
    assert "Every file was taken" not in printed
    pipe = Pipeline.from_pretrained(out)
    assert pipe.classifier.config.activation == "softmax"
    rate = 16_000
    tone = 0.3 * np.sin(2 * np.pi * 305 * np.arange(rate) / rate)
    assert pipe(tone, sample_rate=rate).label == "low"


def test_what_is_not_labelled_is_background_where_asked(nights, backbone, tmp_path, capsys):
    out = tmp_path / "model"
    assert run(nights, "-o", out, "--backbone", backbone, "--unlabelled", "--folds", 2) == 0
    pipe = Pipeline.from_pretrained(out)
    assert pipe.classifier.config.activation == "sigmoid"
    assert len(set(pipe.classifier.config.thresholds)) == 1
    capsys.readouterr()
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ((nights, "--background", tmp_path / "empty"), "no recordings in"),
        (
            (nights, "--background", tmp_path / "card", "--background", tmp_path / "empty"),
            f"no recordings in {tmp_path / 'empty'}, given as a background",
        ),
        ((tmp_path / "card", "--unlabelled"), "--unlabelled need tables"),
        ((nights, "--recordings", tmp_path / "gone"), "no folder"),
        ((nights, "--group", "x"), "--group needs a folder"),
        ((nights, tmp_path / "card"), "expected one folder, or tables"),
        ((nights, "--unlabelled", "--mode", "finetune"), "no background"),
    ):
        assert run(*arguments, "-o", tmp_path / "m", "--backbone", backbone) == 2
        assert message in capsys.readouterr().err


def test_the_default_backbone_is_that_of_the_library():
    parser = argparse.ArgumentParser()
    command.add_command(parser.add_subparsers())
    default = parser.parse_args(["fit", "folder", "-o", "out"]).backbone
    assert default == fit.__kwdefaults__["backbone"]
