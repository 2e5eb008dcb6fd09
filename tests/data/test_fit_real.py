"""A few real clips become a model for other classes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from measure_few_shot import RESULTS
from soundsep import Pipeline, fit, load_audio
from soundsep.augment.acoustics import noise
from soundsep.datasets import ESC50, AudioFolder

CLASSES = ("dog", "rain", "clock_tick", "siren")


@pytest.fixture
def audioset(data_dir, tmp_path, monkeypatch) -> str:
    """The published backbone, from the shared copy of the file that is otherwise downloaded."""
    (tmp_path / "mirror" / "audioset-mn04").mkdir(parents=True)
    shutil.copy(data_dir / "models" / "mn04_as_mAP_432.pt", tmp_path / "mirror" / "audioset-mn04")
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(tmp_path / "mirror"))
    return "audioset-mn04"


def test_eight_clips_a_class_are_enough_for_four_classes(esc50_root, tmp_path, audioset):
    learnt, rest = [], []
    for label in CLASSES:
        clips = [clip for clip in ESC50(esc50_root, folds=(1, 5)) if clip.label == label]
        learnt += [clip for clip in clips if clip.fold == 1]
        rest += [clip for clip in clips if clip.fold == 5]
    for clip in learnt:
        (tmp_path / "own" / clip.label).mkdir(parents=True, exist_ok=True)
        shutil.copy(clip.path, tmp_path / "own" / clip.label)
    # Names of ESC-50: fold, number on Freesound, take, class.
    data = AudioFolder(tmp_path / "own", group=r"^\d-(\d+)-")
    classifier, report = fit(data, backbone=audioset, progress=False)
    assert report.n_clips == 32
    assert report.n_recordings == len({clip.origin for clip in learnt}) < 32
    assert report.accuracy > 0.8
    classifier.save_pretrained(tmp_path / "model")
    results = Pipeline.from_pretrained(tmp_path / "model")([clip.path for clip in rest])
    right = np.mean([r.label == clip.label for r, clip in zip(results, rest, strict=True)])
    assert right > 0.8
    for gain in (0.1, 0.01):  # level is not meaning
        soft = Pipeline.from_pretrained(tmp_path / "model")(
            [{"array": gain * load_audio(clip.path)[0], "sampling_rate": 16_000} for clip in rest]
        )
        heard = np.mean([r.label == clip.label for r, clip in zip(soft, rest, strict=True)])
        assert heard >= right - 1 / len(rest)
    # Noise of a recorder at half the model's rate, in which nothing may be named where one asks.
    pipe = Pipeline.from_pretrained(tmp_path / "model", unknown=True)
    rng = np.random.default_rng(5)
    noises = [noise(rng, 80_000, 16_000) for _ in range(30)]
    levels = 10 ** (rng.uniform(-50, -6, 30) / 20)
    waves = [level * wave / np.abs(wave).max() for level, wave in zip(levels, noises, strict=True)]
    named = [pipe(wave.astype(np.float32), sample_rate=16_000).label for wave in waves]
    assert sum(label is not None for label in named) <= 2
    kept = [
        r.label == clip.label for r, clip in zip(pipe([c.path for c in rest]), rest, strict=True)
    ]
    assert np.mean(kept) > 0.6
    low, high = report.interval
    assert low - 0.1 < right < high + 0.1


def test_the_page_agrees_with_the_measured_curve():
    assert RESULTS.stale() == []
    rows = RESULTS.read()["rows"]
    assert [row["clips_per_class"] for row in rows] == [1, 2, 5, 10, 20]
    accuracies = [row["accuracy_mean"] for row in rows]
    assert accuracies == sorted(accuracies)
