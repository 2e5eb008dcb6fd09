"""One step of 24-bit audio is silence, two are a sound, whoever asks."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from soundsep import (
    AudioError,
    Classifier,
    ClassifierConfig,
    Pipeline,
    Separator,
    SeparatorConfig,
    SoundsepWarning,
)
from soundsep.classifier.scoring import is_silent
from soundsep.training.embedding_cache import load_all

RATE = 16_000
STEP = 2.0**-23


class Halves(nn.Module):
    def forward(self, mixture: Tensor) -> Tensor:
        return torch.stack((mixture, mixture), dim=1) / 2


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    config = ClassifierConfig(
        labels=("a", "b"), network="cnn4", window_seconds=1.0, hop_seconds=1.0
    )
    return Classifier(config).eval()


def recording(path, steps: int):
    """Two seconds in 24 bits that reach so many steps from zero."""
    samples = np.zeros(2 * RATE)
    samples[::7] = steps * STEP
    samples[3::7] = -steps * STEP
    soundfile.write(path, samples, RATE, subtype="PCM_24")
    return path


def test_the_limit_is_one_step():
    assert is_silent(torch.tensor([0.0, STEP, -STEP]))
    assert not is_silent(torch.tensor([0.0, -STEP * (1 + 2**-20)]))


@pytest.mark.parametrize("n_samples", [1, 1_024, 1_025, 32_000])
def test_one_sample_anywhere_is_sound(n_samples):
    for at in {0, n_samples // 2, n_samples - 1}:
        window = torch.full((2, n_samples), STEP)
        assert is_silent(window)
        window[1, at] = -2 * STEP
        assert not is_silent(window)
        assert is_silent(window, -60.0)  # by its level


def test_a_pipeline_refuses_what_is_silent(tmp_path, classifier):
    pipe = Pipeline(classifier)
    silent, faint = (recording(tmp_path / f"{n}.wav", n) for n in (1, 2))
    for answer in (
        pipe,
        lambda path: [*pipe.events(path)],
        lambda path: load_all([path], classifier)[path],
    ):
        answer(faint)
        with pytest.raises(AudioError, match="digital silence"):
            answer(silent)


def test_a_stream_knows_that_it_is_silent(classifier):
    stream = Pipeline(classifier).stream(sample_rate=RATE)
    stream.push(torch.full((2 * RATE,), STEP))
    assert stream.is_silent
    stream.push(torch.full((1,), -2 * STEP))
    assert not stream.is_silent


def test_a_separator_warns_of_silence_and_of_nothing_else(tmp_path, recwarn):
    config = SeparatorConfig(
        sources=("a", "b"), sample_rate=RATE, n_channels=1, segment_seconds=1.0
    )
    separator = Separator(Halves(), config)
    separator(recording(tmp_path / "faint.wav", 2))
    assert not recwarn
    with pytest.warns(SoundsepWarning, match="digital silence"):
        separator(recording(tmp_path / "silent.wav", 1))
