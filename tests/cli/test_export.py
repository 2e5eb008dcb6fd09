from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep import example, load_audio
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.cli import main
from soundsep.export import OnnxClassifier
from soundsep.frontends import KaldiMelConfig
from soundsep.pipeline import Pipeline

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def saved(folder: Path, network: str, **settings) -> Path:
    torch.manual_seed(0)
    config = ClassifierConfig(
        labels=("dog", "rain"), network=network, frontend=KaldiMelConfig(), **settings
    )
    model = Classifier(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # one batch gives statistics that fit the features
    model(torch.randn(8, 32_000) * torch.logspace(-4, 0, 8).unsqueeze(1))
    # Scores that tell inputs apart; an untrained network blows up what was rounded, too.
    std = 0.005 if model.frame_seconds is None else 0.0003
    torch.nn.init.normal_(model.network.head.weight, std=std)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("model"), "mn04-bands")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "model.onnx"
    assert main(["export", str(model), "-o", str(file)]) == 0
    return file


def without_torch(
    *arguments: object, example: str = "onnx_without_torch"
) -> subprocess.CompletedProcess[str]:
    """Run an example where neither torch nor soundsep can be imported."""
    code = (
        "import runpy, sys\n"
        "sys.modules['torch'] = sys.modules['soundsep'] = None\n"
        f"sys.argv = {['example', *map(str, arguments)]!r}\n"
        f"sys.path.insert(0, {str(EXAMPLES)!r})\n"
        f"runpy.run_module({example!r}, run_name='__main__')\n"
    )
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_command_says_how_far_the_scores_are_from_those_of_pytorch(model, tmp_path, capsys):
    file = tmp_path / "model.onnx"
    assert main(["export", str(model), "-o", str(file)]) == 0
    written, checked = capsys.readouterr().out.splitlines()
    assert written.startswith(f"wrote {file} (")
    assert "largest difference of a score" in checked
    file.unlink()
    assert main(["export", str(model), "-o", str(file), "--tolerance", "0"]) == 2
    assert "was not written" in capsys.readouterr().err
    assert not file.exists()


# Longer than the window of 5 s, shorter, and a longer one that is silent but for its first second.
@pytest.mark.parametrize(("seconds", "heard"), [(7.3, 7.3), (0.5, 0.5), (12.0, 1.0)])
def test_the_example_agrees_with_the_pipeline_and_needs_no_torch(
    model, exported, seconds, heard, tmp_path
):
    samples = 0.1 * np.random.default_rng(0).standard_normal((int(32_000 * seconds), 2))
    samples[int(32_000 * heard) :] = 0
    soundfile.write(tmp_path / "a.wav", samples, 32_000)
    done = without_torch(exported, tmp_path / "a.wav")
    assert done.returncode == 0, done.stderr
    printed = [line.split() for line in done.stdout.splitlines()]
    expected = Pipeline.from_pretrained(model)(tmp_path / "a.wav").predictions
    assert [label for label, _ in printed] == [p.label for p in expected]
    for (_, score), prediction in zip(printed, expected, strict=True):
        assert float(score) == pytest.approx(prediction.score, abs=6e-4)


def test_the_example_raises_soft_clips(tmp_path):
    model, file = saved(tmp_path / "soft", "mn04-bands", clip_level_db=-20.0), tmp_path / "x.onnx"
    assert main(["export", str(model), "-o", str(file)]) == 0
    samples = 0.002 * np.random.default_rng(0).standard_normal(32_000 * 7)
    soundfile.write(tmp_path / "a.wav", samples, 32_000, "FLOAT")
    done = without_torch(file, tmp_path / "a.wav")
    pipe = Pipeline.from_pretrained(model)
    expected = pipe(tmp_path / "a.wav")
    scores = {p.label: p.score for p in expected.predictions}
    for line in done.stdout.splitlines():
        label, score = line.split()
        assert float(score) == pytest.approx(scores[label], abs=6e-4)
    pipe.classifier.config = pipe.classifier.config.replace(clip_level_db=None)
    assert pipe(tmp_path / "a.wav").score != pytest.approx(expected.score, abs=0.01)


def test_frames_are_a_second_output_and_the_example_takes_the_best_window(tmp_path):
    model, file = saved(tmp_path / "frames", "mn04-frames", activation="sigmoid"), tmp_path / "x"
    assert main(["export", str(model), "-o", str(file), "--frames"]) == 0
    frames = OnnxClassifier(file).frame_scores(torch.zeros(1, 32_000 * 5))
    assert frames.shape == (1, 32, 2)
    samples = 0.1 * np.random.default_rng(0).standard_normal(32_000 * 7)
    samples[32_000 * 6 :] *= 1e-3
    soundfile.write(tmp_path / "a.wav", samples, 32_000)
    done = without_torch(file, tmp_path / "a.wav")
    expected = Pipeline.from_pretrained(model)(tmp_path / "a.wav").predictions
    assert [float(line.split()[1]) for line in done.stdout.splitlines()] == pytest.approx(
        [p.score for p in expected], abs=6e-4
    )


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("scenes") / "scenes.onnx"
    assert main(["export", "scenes50-mn04", "--frames", "-o", str(file)]) == 0
    return file


# Whole, with a stretch of silence longer than a window, shorter than one, and one that is a window.
@pytest.mark.parametrize(
    ("begin", "end", "gain"), [(0, 30, 1.0), (0, 30, 0.003), (2, 4.4, 1.0), (7, 12, 1.0)]
)
def test_the_example_finds_the_events_of_the_pipeline(scenes, begin, end, gain, tmp_path):
    waveform, rate = load_audio(example("street"), target_rate=16_000)
    samples = gain * waveform[int(begin * rate) : int(end * rate)].numpy()
    samples[rate * 14 : rate * 21] = 0
    soundfile.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    done = without_torch(scenes, tmp_path / "a.wav", example="onnx_events_without_torch")
    assert done.returncode == 0, done.stderr
    expected = [
        str(event).split()
        for event in Pipeline.from_pretrained("scenes50-mn04").events(tmp_path / "a.wav")
    ]
    found = [line.split() for line in done.stdout.splitlines()]
    assert expected
    assert [(*e[:3], e[-1]) for e in found] == [(*e[:3], e[-1]) for e in expected]
    for one, other in zip(found, expected, strict=True):
        assert float(one[4]) == pytest.approx(float(other[4]), abs=2e-3)


def test_the_example_says_which_labels_reach_their_thresholds(scenes, tmp_path):
    waveform, rate = load_audio(example("street"), target_rate=16_000)
    soundfile.write(tmp_path / "a.wav", waveform[: 10 * rate].numpy(), rate)
    done = without_torch(scenes, tmp_path / "a.wav")
    heard = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("  heard")]
    assert tuple(heard) == Pipeline.from_pretrained("scenes50-mn04")(tmp_path / "a.wav").labels
    assert 0 < len(heard) < 5


def test_an_example_of_events_wants_frames(exported, tmp_path):
    done = without_torch(exported, tmp_path / "a.wav", example="onnx_events_without_torch")
    assert (done.returncode, "--frames" in done.stderr) == (1, True)


def test_a_model_without_frames_has_none_to_export(model, tmp_path, capsys):
    assert main(["export", str(model), "-o", str(tmp_path / "x.onnx"), "--frames"]) == 2
    assert "no frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rate", "n_samples", "reason"),
    [
        (8_000, 8_000, "has 8000 Hz, the model hears 32000 Hz"),
        (32_000, 32_000, "silence"),
        (32_000, 0, "no samples"),
        (32_000, 799, "shorter than 0.025 s"),
    ],
)
def test_the_example_says_what_it_cannot_answer(exported, rate, n_samples, reason, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(n_samples), rate)
    done = without_torch(exported, tmp_path / "a.wav")
    assert done.returncode == 1
    assert reason in done.stderr


def test_an_unknown_model_is_an_error(tmp_path, capsys):
    assert main(["export", "nonesuch", "-o", str(tmp_path / "x.onnx")]) == 2
    assert "nonesuch" in capsys.readouterr().err
