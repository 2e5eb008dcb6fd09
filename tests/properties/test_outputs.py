"""Files that a user names: where they go, and what is said where they cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from soundsep import Classifier, ClassifierConfig, Event, Scores, Separator, to_csv, write_report
from soundsep.datasets import write_truth
from soundsep.errors import SoundsepError
from soundsep.evaluation import Evaluation
from soundsep.export import export_onnx
from soundsep.models.separation import build_separation_network
from soundsep.pipeline import EventSummary
from soundsep.separator import Separation, SeparatorConfig
from soundsep.training import FitReport
from soundsep.training.state import make_folder

EVALUATION = Evaluation(
    labels=("dog", "rain"),
    targets=np.array([0, 1]),
    answers=np.array([0, 1]),
    scores=np.array([0.9, 0.8]),
)
REPORT = FitReport(
    mode="probe",
    backbone="b",
    labels=("dog", "rain"),
    clips_per_class=(2, 2),
    recordings_per_class=(2, 2),
    n_recordings=4,
    n_folds=2,
    n_recordings_measured=4,
    accuracy=1.0,
    interval=(0.5, 1.0),
    confusion=np.diag([2, 2]),
    calibration_error=0.0,
    temperature=1.0,
)
SCORES = Scores(
    values=torch.ones(1, 1),
    start_seconds=torch.zeros(1, dtype=torch.float64),
    labels=("dog",),
    window_seconds=1.0,
    hop_seconds=1.0,
    duration_seconds=1.0,
)
SEPARATION = Separation(
    sources=("dog",),
    audio=torch.zeros(1, 1, 10),
    sample_rate=16_000,
    mixture=torch.zeros(1, 10),
)


def picture(draw: str, *about: object) -> Callable[[str], object]:
    def write(path: str) -> object:
        plots = pytest.importorskip("soundsep.plots")
        pytest.importorskip("matplotlib")
        return getattr(plots, draw)(*about, path=path)

    return write


def report(path: str) -> None:
    recording = Path("a.wav")
    if not recording.exists():
        soundfile = pytest.importorskip("soundfile")
        soundfile.write(recording, np.zeros(1_600), 16_000)
    write_report({str(recording): []}, path, progress=False)


def onnx(path: str) -> object:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    return export_onnx(classifier(), path)


def classifier() -> Classifier:
    config = ClassifierConfig(
        labels=("dog", "rain"), network="cnn4", window_seconds=1.0, hop_seconds=0.5
    )
    return Classifier(config).eval()


def separator() -> Separator:
    config = SeparatorConfig(
        sources=("a", "b"),
        network="mask-unet",
        sample_rate=16_000,
        n_channels=1,
        segment_seconds=1.0,
    )
    return Separator(build_separation_network("mask-unet", n_sources=2), config)


# By the end of the path's name; the functions without one write folders.
WRITERS: dict[str, Callable[[str], object]] = {
    "to_csv.csv": lambda path: to_csv([Event(0.0, 1.0, "dog", 0.9)], path),
    "Scores.to_csv.csv": SCORES.to_csv,
    "EventSummary.to_csv.csv": EventSummary(counts={}).to_csv,
    "write_truth.csv": lambda path: write_truth([], path, duration_seconds=1.0),
    "write_truth.json": lambda path: write_truth([], path, duration_seconds=1.0),
    "Evaluation.save.json": EVALUATION.save,
    "FitReport.save.json": REPORT.save,
    "write_report.html": report,
    "plot_scores.png": picture("plot_scores", SCORES),
    "plot_confusion.png": picture("plot_confusion", EVALUATION),
    "export_onnx.onnx": onnx,
    "Classifier.save_pretrained": lambda path: classifier().save_pretrained(path),
    "Separator.save_pretrained": lambda path: separator().save_pretrained(path),
    "Separation.save": lambda path: SEPARATION.save(path),
    "make_folder": make_folder,
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.mark.parametrize("name", WRITERS)
def test_a_tilde_is_the_home_folder(name: str, tmp_path: Path) -> None:
    WRITERS[name](f"~/new/{name}")
    assert (tmp_path / "home" / "new" / name).exists()
    assert not (tmp_path / "work" / "~").exists()


@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_written_is_an_error_of_ours_that_names_it(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "work" / "file").touch()
    for path in (f"file/{name}", f"{'x' * 300}/{name}"):
        with pytest.raises(SoundsepError, match=r"file|xxx"):
            WRITERS[name](path)


@pytest.mark.parametrize("name", [name for name in WRITERS if name.endswith((".csv", ".html"))])
@pytest.mark.parametrize("path", [".", "/", "a\0b"])
def test_a_path_that_no_file_can_have_is_an_error_of_ours(name: str, path: str) -> None:
    if not name.startswith("write_truth"):  # which goes by the suffix
        with pytest.raises(SoundsepError, match="cannot write"):
            WRITERS[name](path)
