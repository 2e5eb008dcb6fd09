"""The tool that trains models of scenes, on a few tones."""

from __future__ import annotations

import json

import pytest

import train_scenes
from soundsep import Classifier
from soundsep.labels import ESC50_LABELS


@pytest.fixture
def run(esc50, tmp_path, data_dir, monkeypatch):
    """Train with some more words on the command line; returns the output folder."""
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(data_dir / "models"))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    monkeypatch.setattr(train_scenes, "N_HEAD_SCENES", 10)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"n_steps": 2, "batch_size": 4, "steps_per_save": 1}))

    def run(words: str):
        output = tmp_path / "out"
        words = f"train --esc50 {esc50} --output {output} --recipe {recipe} {words}"
        monkeypatch.setattr("sys.argv", words.split())
        train_scenes.main()
        return output

    return run


def test_one_model_hears_every_fold_but_its_own(run, capsys):
    output = run("--held-out 5")
    assert capsys.readouterr().out.startswith("16 clips, 0 strangers, 0 backgrounds\n")
    assert (output / "metrics.jsonl").read_text().count("\n") == 2
    # A step has as many scenes as the recipe says, not as many of each of the four folds.
    assert {*json.loads((output / "recipe.json").read_text())["folds"]} == {1}
    for kind in ("ema", "last"):
        assert Classifier.from_pretrained(output / kind).labels == tuple(ESC50_LABELS)


def test_models_side_by_side_share_scenes(run, capsys):
    output = run("--held-out 5 0")
    assert capsys.readouterr().out.startswith("20 clips, 0 strangers, 0 backgrounds\n")
    for name in ("recipe-fold5", "recipe-fold0"):
        assert Classifier.from_pretrained(output / name / "ema").labels == tuple(ESC50_LABELS)


def test_models_side_by_side_go_on_from_those_of_their_folds(run, tmp_path, capsys):
    first = run("--held-out 5 0")
    for fold in (5, 0):
        (first / f"recipe-fold{fold}" / "ema").rename(tmp_path / f"begun-fold{fold}")
    (tmp_path / "begun-fold0").rename(tmp_path / "begun")
    capsys.readouterr()
    run(f"--held-out 5 0 --output {tmp_path / 'more'} --initial {tmp_path}/begun-fold{{fold}}")
    starts = [line for line in capsys.readouterr().out.splitlines() if line.startswith("starts")]
    assert starts == [
        f"starts from {tmp_path / name}, with the head of tags of audioset-mn04"
        for name in ("begun-fold5", "begun")
    ]


def test_several_models_do_not_go_on_from_one(run, capsys):
    with pytest.raises(SystemExit):
        run("--held-out 5 0 --initial somewhere")
    assert "needs {fold}" in capsys.readouterr().err
