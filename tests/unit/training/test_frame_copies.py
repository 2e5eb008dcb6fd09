"""Heads fitted to frames: soft as loud, and silent at noise."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

import soundsep
from soundsep import Classifier, ClassifierConfig, Pipeline
from soundsep.augment.acoustics import noise
from soundsep.datasets import AudioFolder
from soundsep.errors import AudioError
from soundsep.frontends import KaldiMelConfig
from soundsep.models import NETWORKS
from soundsep.training import frame_copies, nothing
from soundsep.training.frame_copies import FrameCopies

RATE = 16_000
# As the waveform is: a softer one gives lower features.
FRONTEND = KaldiMelConfig(sample_rate=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=32)
LABELS = ("buzz", "chirp", "knock")


class Bands(nn.Module):
    """Random features of the mean and the spread of every mel band, level and all."""

    frame_stride = 4
    embedding_dim = 1024

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.body = nn.Linear(64, self.embedding_dim)
        self.head = nn.Linear(self.embedding_dim, n_classes)
        self.attention = nn.Linear(self.embedding_dim, n_classes, bias=False)
        nn.init.normal_(self.body.weight, std=0.3)
        nn.init.zeros_(self.attention.weight)

    def embed_frames(self, features: Tensor) -> Tensor:
        n = -(-features.shape[-1] // 4)
        blocks = nn.functional.pad(features, (0, 4 * n - features.shape[-1]), mode="replicate")
        blocks = blocks.unflatten(-1, (n, 4)).transpose(1, 2)  # (batch, n, mels, 4)
        return self.body(torch.cat([blocks.mean(dim=-1), blocks.std(dim=-1)], dim=-1)).relu()

    def embed(self, features: Tensor) -> Tensor:
        return self.embed_frames(features).mean(dim=1)

    def pooled(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.head(frames)
        return logits, (logits * self.attention(frames).softmax(dim=1)).sum(dim=1)

    def frame_logits(self, features: Tensor) -> Tensor:
        return self.pooled(self.embed_frames(features))[0]

    def forward(self, features: Tensor) -> Tensor:
        return self.pooled(self.embed_frames(features))[1]


@pytest.fixture(autouse=True, scope="module")
def _bands(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "bands", Bands)
        patch.setenv("SOUNDSEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def backbone() -> Classifier:
    config = ClassifierConfig(
        labels=("x",),
        network="bands",
        frontend=FRONTEND,
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier(config).eval()


def sound(label: str, rng: np.random.Generator) -> np.ndarray:
    """A second of a low sawtooth, of rising sweeps, or of two blows on wood."""
    time = np.arange(RATE) / RATE
    if label == "buzz":
        phase = rng.uniform(150, 250) * time
        wave = (phase % 1 - 0.5) * (1 + 0.8 * np.sin(2 * np.pi * rng.uniform(25, 40) * time))
    elif label == "chirp":
        within = time % 0.25
        wave = np.sin(2 * np.pi * (3_000 * within + rng.uniform(5_000, 8_000) * within**2))
    else:
        wave = sum(
            np.where(time > at, np.exp(-40 * (time - at).clip(0)), 0)
            * np.sin(2 * np.pi * rng.uniform(500, 900) * time)
            for at in (0.1, 0.1 + rng.uniform(0.3, 0.6))
        )
    wave = wave + 1e-3 * rng.standard_normal(RATE)
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for label in LABELS:
        (root / label).mkdir()
        for i in range(8):
            soundfile.write(root / label / f"{i}.wav", sound(label, rng), RATE)
    return root


def fit(folder, **options):
    return soundsep.fit(folder, backbone=backbone(), n_folds=2, progress=False, **options)


@pytest.fixture(scope="module")
def fitted(folder):
    return fit(folder)


def accuracy(pipe: Pipeline, gain_db: float) -> float:
    rng = np.random.default_rng(7)
    gain = 10 ** (gain_db / 20)
    results = [
        pipe(gain * sound(label, rng), sample_rate=RATE).top(1)[0].label == label
        for _ in range(8)
        for label in LABELS
    ]
    return float(np.mean(results))


def test_a_fitted_head_hears_soft_sounds_as_loud_ones_and_names_no_noise(fitted):
    classifier, report = fitted
    assert report.accuracy >= 0.95
    assert report.activation == classifier.config.activation == "sigmoid"
    pipe = Pipeline(classifier)
    loud = accuracy(pipe, 0)
    assert loud >= 0.95
    assert accuracy(pipe, -40) == loud
    rng = np.random.default_rng(3)
    levels = 10 ** (rng.uniform(-50, -6, 60) / 20)
    noises = [
        level * wave / np.abs(wave).max() for level in levels for wave in [noise(rng, RATE, RATE)]
    ]
    named = [pipe(wave.astype(np.float32), sample_rate=RATE).label for wave in noises]
    assert sum(label is not None for label in named) <= 1


def test_copies_that_are_all_loud_are_what_soft_sounds_fail_without(folder, monkeypatch):
    loud = frame_copies.COPIES.replace(gain_db=(-6.0, 0.0))
    monkeypatch.setattr(frame_copies, "COPIES", loud)
    monkeypatch.setattr(nothing, "LEVELS_DB", (-6.0, 0.0))
    # The module, which the function of the same name hides.
    monkeypatch.setattr(sys.modules["soundsep.training.fit"], "hearing_soft", lambda model: model)
    pipe = Pipeline(fit(folder)[0])
    assert accuracy(pipe, 0) >= 0.95
    assert accuracy(pipe, -40) < 0.8


def test_frames_say_when(fitted):
    classifier, _ = fitted
    wave = np.zeros(6 * RATE, np.float32)
    wave[2 * RATE : 3 * RATE] = sound("chirp", np.random.default_rng(5))
    wave += 1e-4 * np.random.default_rng(0).standard_normal(len(wave)).astype(np.float32)
    (event,) = Pipeline(classifier).events(wave, sample_rate=RATE)
    assert event.label == "chirp"
    assert event.start_seconds == pytest.approx(2.0, abs=0.2)
    assert event.end_seconds == pytest.approx(3.0, abs=0.2)


def test_copies_are_made_once_and_stay_with_their_clip(folder, monkeypatch):
    paths = [clip.path for clip in AudioFolder(folder)]
    first, _ = FrameCopies(backbone()).of_files(paths, progress=False)
    noises = FrameCopies(backbone()).of_noise(0)
    monkeypatch.setattr(
        FrameCopies, "_embed", lambda *_: pytest.fail("embedded what is in the cache")
    )
    again, _ = FrameCopies(backbone()).of_files(paths[::-1], progress=False)
    assert all(torch.equal(again[path], rows) for path, rows in first.items())
    assert torch.equal(FrameCopies(backbone()).of_noise(0), noises)
    assert noises[:, 0].sum() == 0
    for rows in first.values():
        assert rows.shape[1] == 1 + Bands.embedding_dim
        assert 6 <= int(rows[:, 0].sum()) <= 12  # one or two of six copies each
    # Other backgrounds make other copies.
    monkeypatch.undo()
    monkeypatch.setitem(NETWORKS, "bands", Bands)
    there = FrameCopies(backbone(), backgrounds=[paths[0]])
    assert not torch.equal(there.of_files(paths[1:2], progress=False)[0][paths[1]], first[paths[1]])


def test_a_place_that_is_given_as_a_background_is_not_named(folder, fitted, tmp_path):
    """A machine that always runs there and sounds like one of the classes."""
    time = np.arange(4 * RATE) / RATE
    place = (500 * time % 1 - 0.5) * (0.4 + 0.2 * np.sin(2 * np.pi * 12 * time))
    soundfile.write(tmp_path / "place.wav", place, RATE)
    classifier, report = fit(folder, backgrounds=[tmp_path / "place.wav"])
    assert report.accuracy >= 0.95
    assert Pipeline(fitted[0])(tmp_path / "place.wav").label is not None
    assert Pipeline(classifier)(tmp_path / "place.wav").label is None


def test_a_file_without_a_sound_is_told_or_left_out(tmp_path):
    click = np.zeros(RATE, np.float32)
    click[100] = 1e-4
    path = tmp_path / "click.wav"
    soundfile.write(path, click, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"click\.wav holds no sound"):
        FrameCopies(backbone()).of_files([path], progress=False)
    found, skipped = FrameCopies(backbone()).of_files([path], errors="skip", progress=False)
    assert not found
    assert list(skipped) == [path]
