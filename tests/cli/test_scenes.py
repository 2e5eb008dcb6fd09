from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep import Classifier, ClassifierConfig, Event, Pipeline
from soundsep.checkpoints.registry import PUBLISHED
from soundsep.cli import main
from soundsep.datasets import read_truth
from soundsep.labels import ESC50_LABELS
from soundsep.models.separation import mask_unet
from soundsep.separator import Separator, SeparatorConfig
from soundsep.training.learnt import REPORT_NAME, file_marks

RATE = 16_000
LABELS = ("siren", "dog", "rain")


each_measurement = pytest.mark.parametrize(
    "command",
    [
        ["evaluate-events", "--n-scenes", "1", "--seconds", "5"],
        ["evaluate-mixtures", "--mixtures", "2"],
    ],
)


def burst(seed: int, seconds: float = 1.0) -> np.ndarray:
    wave = 0.2 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return np.concatenate((np.zeros(RATE // 2), wave, np.zeros(RATE // 2))).clip(-1, 1)


@pytest.fixture(scope="module")
def esc50(tmp_path_factory) -> str:
    """Three clips in each of two folds."""
    root = tmp_path_factory.mktemp("ESC-50")
    (root / "audio").mkdir()
    lines = ["filename,fold,target,category,src_file"]
    for fold in (4, 5):
        for i, label in enumerate(LABELS):
            name = f"{fold}-{i}.wav"
            lines.append(f"{name},{fold},{ESC50_LABELS.index(label)},{label},{fold}{i}")
            soundfile.write(root / "audio" / name, burst(10 * fold + i), RATE)
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    return str(root)


@pytest.fixture(scope="module")
def folder_of_recordings(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("street")
    soundfile.write(folder / "street.wav", burst(3, 3.0), RATE)
    return str(folder)


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_scenes_and_their_truth_are_written_and_the_same_again(
    tmp_path, capsys, esc50, folder_of_recordings
):
    command = ["make-scenes", "--data", esc50, "--fold", "5", "--n-scenes", "3", "--seconds", "4"]
    command += ["--seed", "7", "--backgrounds", folder_of_recordings]
    command += ["--strangers", folder_of_recordings]
    assert main([*command, "-o", str(tmp_path / "a")]) == 0
    assert "wrote 3 scenes of 4 s" in capsys.readouterr().out
    names = [f"000{i}.{kind}" for i in range(3) for kind in ("csv", "json", "wav")]
    assert list(made(tmp_path / "a")) == [*names, "scenes.json"]
    n_events = 0
    for i in range(3):
        wave, rate = soundfile.read(tmp_path / "a" / f"000{i}.wav")
        assert (len(wave), rate) == (4 * RATE, RATE)
        events = read_truth(tmp_path / "a" / f"000{i}.csv")
        assert events == read_truth(tmp_path / "a" / f"000{i}.json")
        assert {event.label for event in events} <= set(LABELS)
        assert all(event.end_seconds <= 4 for event in events)
        n_events += len(events)
    assert n_events > 0
    summary = json.loads((tmp_path / "a" / "scenes.json").read_text())
    assert (summary["fold"], summary["seed"], summary["n_scenes"]) == (5, 7, 3)
    assert main([*command, "-o", str(tmp_path / "b")]) == 0
    assert made(tmp_path / "a") == made(tmp_path / "b")
    assert main([*command[:-4], "--training", "-o", str(tmp_path / "c")]) == 0
    assert made(tmp_path / "a")["0000.wav"] != made(tmp_path / "c")["0000.wav"]


def test_what_a_folder_of_ones_own_leaves_out_is_said(tmp_path, capsys):
    mine = tmp_path / "mine"
    for name in ("dog/rex.wav", "dog/tom.wav", "rain/roof.wav", "rain/tent.wav", "loose.wav"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(mine / name, burst(len(name)), RATE)
    command = ["make-scenes", "--data", str(mine), "--fold", "1", "--n-scenes", "1"]
    assert main([*command, "--seconds", "2", "-o", str(tmp_path / "a")]) == 0
    assert "warning: audio files outside of the subfolders, left out: 1" in capsys.readouterr().err


def test_long_scenes_have_sounds_all_along(tmp_path, esc50):
    command = ["make-scenes", "--data", esc50, "--fold", "5", "--n-scenes", "1", "--seconds", "90"]
    assert main([*command, "-o", str(tmp_path / "a")]) == 0
    assert len(read_truth(tmp_path / "a" / "0000.csv")) == 3
    many = [*command, "--sounds-per-minute", "12", "-o", str(tmp_path / "b")]
    assert main(many) == 0
    assert 10 <= len(read_truth(tmp_path / "b" / "0000.csv")) <= 18


def test_nothing_is_replaced_unasked(tmp_path, capsys, esc50):
    (tmp_path / "0001.csv").write_text("mine")
    command = ["make-scenes", "--data", esc50, "--fold", "5", "--n-scenes", "2", "--seconds", "2"]
    command += ["-o", str(tmp_path)]
    assert main(command) == 2
    assert "0001.csv exists already" in capsys.readouterr().err
    assert list(made(tmp_path)) == ["0001.csv"]
    assert main([*command, "--overwrite"]) == 0


def test_a_full_disk_is_said_and_leaves_no_piece_of_a_scene(tmp_path, capsys, esc50):
    resource = pytest.importorskip("resource")
    command = ["make-scenes", "--data", esc50, "--fold", "5", "--n-scenes", "1", "--seconds", "4"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        assert main([*command, "-o", str(tmp_path / "a")]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "0000.wav: File too large" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_settings_from_a_file(tmp_path, capsys, esc50):
    (tmp_path / "scenes.json").write_text('{"seconds": 3.0, "n_sounds": [0.0, 1.0]}')
    command = ["make-scenes", "--data", esc50, "--fold", "5", "--n-scenes", "4"]
    command += ["--config", str(tmp_path / "scenes.json"), "-o", str(tmp_path / "a")]
    assert main(command) == 0
    assert all(len(read_truth(tmp_path / "a" / f"000{i}.csv")) <= 1 for i in range(4))
    assert soundfile.info(tmp_path / "a" / "0000.wav").duration == 3
    (tmp_path / "scenes.json").write_text('{"loudness": 3.0}')
    assert main([*command, "--overwrite"]) == 2
    assert "'loudness'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fold", "3"], "3"),
        (["--fold", "5", "--seconds", "4000"], "3600"),
        (["--fold", "5", "--backgrounds", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_made_is_said(tmp_path, capsys, esc50, options, message):
    command = ["make-scenes", "--data", esc50, *options, "-o", str(tmp_path / "a")]
    assert main(command) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("models") / "small"
    config = ClassifierConfig(
        labels=ESC50_LABELS, network="resnet18", window_seconds=1.0, hop_seconds=0.5
    )
    Classifier(config).save_pretrained(folder)
    return str(folder)


def test_events_of_an_untrained_model_are_measured(tmp_path, capsys, esc50, model):
    command = ["evaluate-events", model, "--data", esc50, "--fold", "5", "--n-scenes", "2"]
    command += ["--seconds", "5", "--threshold", "0.03"]
    output = tmp_path / "events.json"
    assert main([*command, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "fold 5 of" in printed
    assert "spurious per hour" in printed
    assert main([*command, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads(output.read_text())
    assert (figures["n_recordings"], figures["threshold"]) == (2, 0.03)
    assert figures["hours"] == pytest.approx(10 / 3600, abs=1e-5)
    assert main([*command, "--output", str(output)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_the_step_between_windows_is_that_asked_for(capsys, monkeypatch, esc50, model):
    steps = []

    def events(self, audio, *, hop_seconds=None, **_) -> list[Event]:
        steps.append(hop_seconds)
        return []

    monkeypatch.setattr(Pipeline, "events", events)
    command = ["evaluate-events", model, "--data", esc50, "--fold", "5", "--n-scenes", "1"]
    command += ["--seconds", "5", "--json"]
    assert main(command) == 0
    assert "hop_seconds" not in json.loads(capsys.readouterr().out)
    assert main([*command, "--hop", "0.75"]) == 0
    assert json.loads(capsys.readouterr().out)["hop_seconds"] == 0.75
    assert steps == [None, 0.75]


@each_measurement
def test_a_model_is_not_measured_on_clips_it_was_fitted_to(tmp_path, capsys, esc50, model, command):
    fitted = tmp_path / "fitted"
    shutil.copytree(model, fitted)
    known = [Path(esc50, "audio", name) for name in ("5-0.wav", "4-1.wav", "4-2.wav")]
    (fitted / REPORT_NAME).write_text(json.dumps({"learnt": " ".join(file_marks(known))}))
    name, *options = command
    command = [name, str(fitted), *options, "--data", esc50, "--fold", "5"]
    assert main(command) == 2
    assert "was fitted to 1 of these 3 clips" in capsys.readouterr().err
    assert main([*command, "--any-clip"]) == 0


def test_what_a_separator_does_to_mixtures_is_printed_as_it_is_written(
    tmp_path, capsys, esc50, model
):
    config = SeparatorConfig(
        network="mask-unet", sources=("a", "b"), sample_rate=RATE, n_channels=1, segment_seconds=2.0
    )
    Separator(mask_unet(2), config).save_pretrained(tmp_path / "two")
    command = ["evaluate-mixtures", model, "--data", esc50, "--fold", "5", "--mixtures", "2"]
    command += ["--separator", str(tmp_path / "two"), "-o", str(tmp_path / "metrics.json")]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "sample_rate" not in printed.err  # that of the mixtures is known
    (written,) = json.loads((tmp_path / "metrics.json").read_text())["separation"].values()
    mean, median, worse = re.findall(r"improvement (.*) dB .*, (.*) dB .*; (.*)%", printed.out)[0]
    assert float(mean) == pytest.approx(written["si_sdr_improvement_mean_db"], abs=0.01)
    assert float(median) == pytest.approx(written["si_sdr_improvement_median_db"], abs=0.01)
    assert float(worse) == pytest.approx(100 * written["share_of_mixtures_made_worse"], abs=0.1)


@each_measurement
def test_on_a_full_disk_earlier_metrics_stay(tmp_path, capsys, monkeypatch, esc50, model, command):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    output = tmp_path / "metrics.json"
    output.write_text("earlier ones")
    monkeypatch.setattr(os, "replace", full)
    name, *options = command
    options += ["--data", esc50, "--fold", "5", "-o", str(output), "--overwrite"]
    assert main([name, model, *options]) == 2
    assert f"cannot write to {output}" in capsys.readouterr().err
    assert output.read_text() == "earlier ones"
    assert list(tmp_path.iterdir()) == [output]


def test_the_scenes_measured_are_those_that_are_made(tmp_path, capsys, monkeypatch, esc50, model):
    """A pipeline that answers with the truth that `make-scenes` writes is perfect."""
    options = ["--data", esc50, "--fold", "5", "--seconds", "5", "--seed", "3"]
    assert main(["make-scenes", *options, "--n-scenes", "2", "-o", str(tmp_path)]) == 0
    truths = [read_truth(tmp_path / f"000{i}.csv") for i in range(2)]

    def events(self, audio, **_) -> list[Event]:
        return truths.pop(0)

    monkeypatch.setattr(Pipeline, "events", events)
    assert main(["evaluate-events", model, *options, "--n-scenes", "2", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert figures["collar_200ms"]["f1"] == 1
    assert figures["collar_200ms"]["n_true"] > 0


def test_a_published_model_is_measured_on_the_fold_held_out_alone(capsys, esc50):
    assert PUBLISHED["esc50-resnet34"].test_fold == 5
    command = ["evaluate-events", "esc50-resnet34", "--data", esc50, "--fold", "4"]
    assert main(command) == 2
    assert "measure it with --fold 5" in capsys.readouterr().err
