"""The tool that trains esc50-resnet34 on an accelerator, on the processor and on a few tones."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import train_resnet34
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.files import read_json_lines
from soundsep.frontends import MelConfig
from soundsep.labels import ESC50_LABELS

RATE = 16_000


@pytest.fixture
def teacher(tmp_path):
    config = ClassifierConfig(
        labels=ESC50_LABELS,
        network="cnn4",
        frontend=MelConfig(),
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    with torch.random.fork_rng():
        Classifier(config).save_pretrained(tmp_path / "teacher")
    return tmp_path / "teacher"


@pytest.mark.usefixtures("same_settings")
def test_every_phase_in_the_time_it_was_given(esc50, teacher, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_resnet34, "END_SECONDS", 0.5)
    monkeypatch.setattr(train_resnet34, "BEGAN", train_resnet34.time.monotonic())
    settings = {"network": "cnn4", "batch_size": 4, "window_seconds": 1.0, "crop_seconds": 0.5}
    (tmp_path / "recipe.json").write_text(json.dumps(settings))
    output = tmp_path / "out"
    words = f"train --esc50 {esc50} --output {output} --folds 5 2 5 --weights-of 5 --minutes 0.08"
    words += f" --teachers {teacher} --compare {teacher} --recipe {tmp_path / 'recipe.json'}"
    words += " --device cpu --threads 1 --reports 4 --parts --epochs 100000"
    monkeypatch.setattr("sys.argv", words.split())
    train_resnet34.main()
    summary = json.loads((output / "summary.json").read_text())
    assert summary["folds"] == [5, 2]
    assert 1 < summary["training_seconds"] < 6
    for number, kept in ((5, True), (2, False)):
        folder = output / f"fold{number}"
        assert (folder / "model.safetensors").exists() == kept
        test = json.loads((folder / "test.json").read_text())
        assert (test["n_clips"], test["fold"]) == (4, number)
        assert 0 < test["steps_of_whole_clips"] < test["steps"]
        assert test["accuracy"] == test["accuracy_under"]["student"]["as it is"]
        assert test["accuracy_under"].keys() == {"student", "teacher", str(teacher)}
        logits = np.load(folder / "logits.npz")
        assert logits["logits"].shape == (4, 50)
        assert all(str(path).startswith(f"{number}-") for path in logits["paths"])
        right = logits["logits"].argmax(axis=1) == logits["targets"]
        assert right.mean() == test["accuracy"]
        rows = read_json_lines(folder / "metrics.jsonl")
        shares = [row["share"] for row in rows]
        assert shares == sorted(shares)
        assert 2 <= len(rows) <= 4
        assert shares[-1] == 1.0
        assert json.loads((folder / "recipe.json").read_text())["training_clips"] == 16
    five, two = (
        json.loads((output / f"fold{n}" / "test.json").read_text())["steps"] for n in (5, 2)
    )
    assert 1.5 * two < five < 2.5 * two + 20  # twice as many turns
    model = Classifier.from_pretrained(output / "fold5")
    assert model.labels == ESC50_LABELS
    assert '"teacher"' in capsys.readouterr().out


@pytest.mark.usefixtures("same_settings")
def test_few_epochs_end_it_without_a_clock(esc50, teacher, tmp_path, monkeypatch):
    settings = {"network": "cnn4", "batch_size": 4, "window_seconds": 1.0, "crop_seconds": 0.5}
    (tmp_path / "recipe.json").write_text(json.dumps(settings))
    output = tmp_path / "out"
    words = f"train --esc50 {esc50} --output {output} --epochs 5 --teachers {teacher} --device cpu"
    words += f" --threads 1 --batch-size 8 --recipe {tmp_path / 'recipe.json'}"
    monkeypatch.setattr("sys.argv", words.split())
    train_resnet34.main()
    test = json.loads((output / "fold5" / "test.json").read_text())
    assert (test["steps"], test["epochs"], test["steps_of_whole_clips"]) == (10, 5.0, 1)
    recipe = json.loads((output / "fold5" / "recipe.json").read_text())["recipe"]
    assert recipe["batch_size"] == 8
    assert recipe["learning_rate"] == pytest.approx(3e-3 * math.sqrt(2))
