from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep import plots
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.cli import main
from soundsep.cli.plot import OF_SOUND, OF_TRAINING


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def recording(tmp_path) -> str:
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    return "noise.wav"


def test_every_picture_is_a_kind_and_is_in_the_help(capsys):
    of_results = {
        "plot_events",
        "plot_scores",
        "plot_season",
        "plot_separation",
    }  # which are not in files
    kinds = {f"plot_{kind}" for kind in (*OF_SOUND, *OF_TRAINING)}
    assert kinds == {name for name in plots.__all__ if name.startswith("plot_")} - of_results
    with pytest.raises(SystemExit, match="0"):
        main(["plot", "--help"])
    text = capsys.readouterr().out
    assert all(kind in text for kind in (*OF_SOUND, *OF_TRAINING))


@pytest.mark.parametrize("kind", [kind for kind in OF_SOUND if kind != "probabilities"])
def test_a_recording_becomes_a_picture(kind, recording, capsys):
    Path("out.png").write_text("an older one")
    arguments = ["--start", "0.5", "--duration", "0.5", "-o", "out.png"]
    assert main(["plot", kind, recording, *arguments]) == 2
    assert "exists already" in capsys.readouterr().err
    assert Path("out.png").read_text() == "an older one"
    assert main(["plot", kind, recording, *arguments, "--overwrite"]) == 0
    assert capsys.readouterr().out == "wrote out.png\n"
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")


def test_probabilities_are_those_of_the_model_named(recording, tmp_path):
    torch.manual_seed(0)
    Classifier(ClassifierConfig(labels=("dog", "rain"), network="mn04")).save_pretrained("model")
    arguments = ["--model", "./model", "--top", "1", "-o", "p.pdf"]
    assert main(["plot", "probabilities", recording, *arguments]) == 0
    assert Path("p.pdf").read_bytes().startswith(b"%PDF")


def test_runs_and_evaluations_get_a_name_by_default():
    Path("run").mkdir()
    Path("run/metrics.jsonl").write_text('{"epoch": 1, "training_loss": 2.0}\n')
    Path("figures.json").write_text(json.dumps({"labels": ["a"], "confusion": [[3]]}))
    assert main(["plot", "curves", "run"]) == 0
    assert main(["plot", "confusion", "figures.json"]) == 0
    assert Path("run-curves.png").is_file()
    assert Path("figures-confusion.png").is_file()


def test_mistakes_are_said_and_leave_no_picture(recording, capsys):
    for arguments, word in (
        (["mel", "none.wav"], "does not exist"),
        (["mel", recording, "--start", "9"], "2.000 s long"),
        (["mel", recording, "-o", "out.doc"], ".png"),
        (["mel", recording, "-o", recording, "--overwrite"], "is one of the recordings"),
        (["curves", "nowhere"], "nowhere"),
        (["confusion", recording], "soundsep evaluate"),
    ):
        assert main(["plot", *arguments]) == 2
        assert word in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["plot", "drawing", recording])
    assert not list(Path().glob("*.png"))


def test_a_full_disk_leaves_no_picture_and_keeps_the_old_one(recording, capsys):
    resource = pytest.importorskip("resource")
    Path("mel.png").write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        assert main(["plot", "mel", recording, "-o", "mel.png", "--overwrite"]) == 2
        assert main(["plot", "mel", recording, "-o", "new.png"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot write new.png: File too large" in capsys.readouterr().err
    assert Path("mel.png").read_bytes() == b"old"
    assert [path.name for path in Path().glob("*.png")] == ["mel.png"]
