from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.cli import main
from soundsep.frontends import KaldiMelConfig

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_without_torch.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    config = ClassifierConfig(
        labels=("dog", "rain"), network="mn04-bands", frontend=KaldiMelConfig()
    )
    Classifier(config).eval().save_pretrained(folder)
    return folder


def test_the_exported_file_runs_where_there_is_no_torch(model, tmp_path, capsys):
    exported, recording = tmp_path / "model.onnx", tmp_path / "noise.wav"
    assert main(["export", str(model), "-o", str(exported)]) == 0
    assert "largest difference" in capsys.readouterr().out
    soundfile.write(recording, np.random.default_rng(0).normal(0, 0.1, 160_000), 32_000)
    blocked = (
        "import sys, runpy; sys.modules['torch'] = sys.modules['soundsep'] = None; "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked, str(EXAMPLE), str(exported), str(recording)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dog" in done.stdout
    assert "rain" in done.stdout


def test_an_unknown_model_is_an_error(tmp_path, capsys):
    assert main(["export", "nonesuch", "-o", str(tmp_path / "x.onnx")]) == 2
    assert "nonesuch" in capsys.readouterr().err
