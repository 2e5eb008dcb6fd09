from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep import Classifier, Pipeline
from soundsep.cli import main
from soundsep.frontends import MelConfig
from soundsep.labels import ESC50_LABELS
from soundsep.training import RECIPES, Recipe, Stage, get_recipe


@pytest.fixture(autouse=True)
def _tiny_recipe(monkeypatch):
    tiny = Recipe(
        name="tiny",
        description="for these tests",
        network="cnn4",
        frontend=MelConfig(n_mels=16),
        window_seconds=1.0,
        stages=(Stage(epochs=1, crop_seconds=0.5), Stage(epochs=1)),
        batch_size=4,
        report_every=1,
    )
    monkeypatch.setitem(RECIPES, "tiny", tiny)


def _noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(16_000), 16_000)


@pytest.fixture
def esc50(tmp_path) -> Path:
    """Three classes, one clip of each in every fold."""
    root = tmp_path / "ESC-50"
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in (1, 2, 3, 4, 5):
        for target, label in enumerate(ESC50_LABELS[:3]):
            name = f"{fold}-{fold}{target}-A-{target}.wav"
            lines.append(f"{name},{fold},{target},{label},False,{fold}{target},A")
            _noise(root / "audio" / name, 10 * fold + target)
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def own(tmp_path) -> Path:
    """Two classes of ten clips, and a table of them."""
    root = tmp_path / "own"
    with_labels = [(f"{label}/{i}.wav", label) for label in ("hum", "hiss") for i in range(10)]
    for seed, (name, _) in enumerate(with_labels):
        _noise(root / name, seed)
    with (root / "clips.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *with_labels])
    return root


def run(output: Path, *arguments: object) -> int:
    return main(["train", "--recipe", "tiny", "--output", str(output), *map(str, arguments)])


def measured(path: Path) -> dict:
    """What `soundsep evaluate` wrote, without what it was told to measure."""
    told = {"model", "data", "fold", "n_shifts", "soundsep_version"}
    figures = json.loads(path.read_text())
    assert told <= set(figures)
    return {name: figure for name, figure in figures.items() if name not in told}


def rows(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_train_then_evaluate(esc50, tmp_path, monkeypatch, capsys):
    output, where = tmp_path / "run", ["--data", str(esc50), "--fold", "2"]
    assert run(output, *where) == 0
    assert "macro F1" in capsys.readouterr().out
    assert len(rows(output)) == 2
    figures = tmp_path / "figures.json"
    for weights in ("last", "ema"):
        command = ["evaluate", str(output / weights), *where, "--output", str(figures)]
        assert main([*command, "--overwrite"]) == 0
        assert "macro F1" in capsys.readouterr().out
    # What is measured at the end of the training is what anybody measures afterwards.
    assert json.loads((output / "test.json").read_text()) == measured(figures)
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(output / "ema"), *where]) == 0
    assert (tmp_path / "ema-fold2.json").read_text() == figures.read_text()
    assert np.sum(json.loads(figures.read_text())["confusion"]) == 3


def test_the_command_line_comes_before_the_recipe(esc50, tmp_path):
    changes = ["--epochs", 3, "--batch-size", 2, "--lr", "0.01", "--network", "aclnet-0.5"]
    assert run(tmp_path / "a", "--data", esc50, *changes, "--features", "waveform") == 0
    recipe = json.loads((tmp_path / "a" / "recipe.json").read_text())["recipe"]
    assert [stage["epochs"] for stage in recipe["stages"]] == [2, 1]
    assert (recipe["batch_size"], recipe["learning_rate"]) == (2, 0.01)
    config = Classifier.from_pretrained(tmp_path / "a" / "ema").config
    assert (config.network, config.frontend.kind) == ("aclnet-0.5", "waveform")


def test_a_network_that_does_not_take_the_features_is_an_error(esc50, tmp_path, capsys):
    assert run(tmp_path / "a", "--data", esc50, "--network", "aclnet") == 2
    assert "does not take the features" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_clips_of_ones_own(own, tmp_path, kind):
    source = ["--data", own] if kind == "folder" else ["--annotations", own / "clips.csv"]
    assert run(tmp_path / "a", *source) == 0
    result = Pipeline.from_pretrained(tmp_path / "a" / "ema")(own / "hum" / "0.wav")
    assert result.label in ("hum", "hiss")
    figures = json.loads((tmp_path / "a" / "test.json").read_text())
    assert figures["n_clips"] == 4  # a fifth
    # The same fold is dealt out when it is measured again.
    again = ["--fold", "5", "--output", str(tmp_path / "again.json")]
    assert main(["evaluate", str(tmp_path / "a" / "ema"), *map(str, source), *again]) == 0
    assert measured(tmp_path / "again.json") == figures


def test_a_model_is_not_measured_on_what_it_was_trained_on(own, tmp_path, capsys):
    """New recordings change the folds of a folder, so that a fold holds other clips than before."""
    assert run(tmp_path / "a", "--data", own) == 0
    capsys.readouterr()
    again = ["--data", str(own), "--output", str(tmp_path / "again.json"), "--overwrite"]
    assert main(["evaluate", str(tmp_path / "a" / "ema"), *again]) == 0
    assert "left out 16 of 20 clips" in capsys.readouterr().err
    held_out = json.loads((tmp_path / "a" / "test.json").read_text())
    assert measured(tmp_path / "again.json") == held_out
    assert main(["evaluate", str(tmp_path / "a" / "last"), *again, "--any-clip"]) == 0
    assert json.loads((tmp_path / "again.json").read_text())["n_clips"] == 20
    assert main(["evaluate", str(tmp_path / "a" / "ema"), *again, "--fold", "1"]) == 2
    assert "was fitted to all 4 clips" in capsys.readouterr().err


def test_four_clips_make_four_folds(own, tmp_path):
    (own / "four.csv").write_text(
        "path,label\nhum/0.wav,hum\nhum/1.wav,hum\nhiss/0.wav,hiss\nhiss/1.wav,hiss\n"
    )
    assert run(tmp_path / "a", "--annotations", own / "four.csv") == 0
    assert json.loads((tmp_path / "a" / "test.json").read_text())["n_clips"] == 1


def test_what_looks_like_a_mistake_in_the_data_is_told(own, tmp_path, capsys):
    _noise(own / "loose.wav", 99)
    for i in range(1, 10):
        (own / "hum" / f"{i}.wav").rename(own / "hiss" / f"1{i}.wav")
    (own / "hum" / "0.wav").rename(own / "hum" / "once.wav")
    _noise(own / "hum" / "cut" / "a.wav", 100)
    (own / "hum" / "once.wav").rename(own / "hum" / "cut" / "b.wav")  # one recording is left
    folds = [run(tmp_path / str(k), "--data", own, "--fold", k) for k in range(1, 6)]
    assert folds == [0] * 5
    told = capsys.readouterr().err
    assert told.count("warning: audio files outside of the subfolders, left out: 1") == 5
    assert told.count("warning: in the fold held out only, so not learnt: hum") == 1


def test_a_second_fold_is_held_out_for_the_curves(esc50, tmp_path):
    assert run(tmp_path / "a", "--data", esc50, "--validation-fold", 2) == 0
    assert run(tmp_path / "b", "--data", esc50, "--validation-fold", 2, "--epochs", 2) == 0
    assert run(tmp_path / "c", "--data", esc50) == 0
    digests = [
        json.loads((tmp_path / name / "recipe.json").read_text())["training_sha256"]
        for name in "abc"
    ]
    assert digests[0] == digests[1] != digests[2]
    assert run(tmp_path / "d", "--data", esc50, "--validation-fold", 5) == 2  # it is the test fold


def test_a_limit_takes_the_classes_in_turn(esc50, tmp_path):
    assert run(tmp_path / "a", "--data", esc50, "--limit", 3) == 0
    assert json.loads((tmp_path / "a" / "test.json").read_text())["n_clips"] == 3
    confusion = np.array(json.loads((tmp_path / "a" / "test.json").read_text())["confusion"])
    assert confusion.sum(axis=1)[:3].tolist() == [1, 1, 1]


def test_calibration_changes_the_temperature_and_nothing_else(esc50, tmp_path):
    assert run(tmp_path / "a", "--data", esc50) == 0
    assert run(tmp_path / "b", "--data", esc50, "--calibrate") == 0
    plain, warm = (Classifier.from_pretrained(tmp_path / name / "ema") for name in "ab")
    assert plain.config.temperature == 1.0 != warm.config.temperature
    for name, value in plain.state_dict().items():
        assert value.equal(warm.state_dict()[name]), name
    # The fold that is reported on has no part in it.
    settings = json.loads((tmp_path / "b" / "calibration" / "recipe.json").read_text())
    again = json.loads((tmp_path / "b" / "recipe.json").read_text())
    assert settings["training_sha256"] != again["training_sha256"]


def test_what_cannot_be_calibrated_is_told_before_the_training(own, tmp_path, capsys):
    rows = [f"{label}/{i}.wav,{label},{1 + i % 2}" for label in ("hum", "hiss") for i in (0, 1)]
    (own / "folds.csv").write_text("\n".join(["path,label,fold", *rows]))
    assert run(tmp_path / "a", "--annotations", own / "folds.csv", "--calibrate") == 2
    assert "cannot hold out" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_file_in_the_place_of_a_folder_is_an_error(esc50, tmp_path, capsys):
    (tmp_path / "file").touch()
    for arguments in (["--output", tmp_path / "file"], ["--log-dir", tmp_path / "file" / "x"]):
        assert run(tmp_path / "a", "--data", esc50, *arguments) == 2
        assert f"cannot write to {arguments[1]}" in capsys.readouterr().err


def test_tensorboard_gets_the_figures_of_every_epoch(esc50, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logs = ["--log-dir", tmp_path / "logs", "--comment", "../the first"]
    assert run(tmp_path / "a", "--data", esc50, *logs) == 0
    events = EventAccumulator(str(tmp_path / "logs" / "a-tiny-fold5-.._the_first"))
    events.Reload()
    for figure in ("training_loss", "held_out_macro_f1"):
        logged = [(e.step, pytest.approx(e.value)) for e in events.Scalars(figure)]
        assert [(row["epoch"], row[figure]) for row in rows(tmp_path / "a")] == logged


def test_tensorboard_writes_below_the_home_folder_that_a_tilde_stands_for(
    esc50, tmp_path, monkeypatch
):
    pytest.importorskip("tensorboard")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path / "a", "--data", esc50, "--log-dir", "~/logs") == 0
    assert [folder.name for folder in (tmp_path / "home" / "logs").iterdir()] == ["a-tiny-fold5"]
    assert not Path("~").exists()


def test_without_tensorboard_no_folder_is_made(esc50, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert run(tmp_path / "a", "--data", esc50, "--log-dir", tmp_path / "logs") == 2
    assert 'install it with: pip install "soundsep[train]"' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ESC-50"]


def test_without_data_or_with_too_much_of_it(own, esc50, tmp_path, capsys):
    for arguments, message in (
        ([], "give --data or --annotations"),
        (["--data", own, "--data", esc50], "only a model of urban11"),
        (["--data", own, "--annotations", own / "clips.csv"], "give --annotations or --data"),
        (["--data", tmp_path / "nowhere"], "no folder"),
        (["--data", esc50, "--teacher", "audioset-mn04"], "does not learn from a teacher"),
        (["--data", esc50, "--backbone", "x", "--network", "cnn8"], "brings its own network"),
        (["--data", esc50, "--recipe", "finetune", "--features", "mel"], "brings its own network"),
        (["--data", esc50, "--recipe", "esc50-crop-cnn4", "--features", "mel"], "by their size"),
    ):
        assert run(tmp_path / "run", *arguments) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_recipes_are_listed(capsys):
    assert main(["recipes"]) == 0
    text = capsys.readouterr().out
    assert all(f"{name}\n" in text for name in RECIPES)
    assert main(["recipes", "--json"]) == 0
    listed = [Recipe.from_dict(data) for data in json.loads(capsys.readouterr().out)]
    assert listed == [*RECIPES.values()]
    assert main(["recipes", "esc50-crnn"]) == 0
    assert f"learning_rate      {get_recipe('esc50-crnn').learning_rate}" in capsys.readouterr().out
    assert main(["recipes", "nonesuch"]) == 2
