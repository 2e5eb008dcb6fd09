"""Models that were converted to another precision, and autocast."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from soundsep import Classifier, ClassifierConfig, ConfigError, MelConfig, Pipeline, Separator
from soundsep.errors import AudioError, WeightsError
from soundsep.models.separation import mask_unet
from soundsep.separator import SeparatorConfig

RATE = 16_000
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
WAYS = {
    "result": lambda pipe: pipe(NOISE, sample_rate=RATE),
    "events": lambda pipe: list(pipe.events(NOISE, sample_rate=RATE)),
    "scores": lambda pipe: pipe.scores(NOISE, sample_rate=RATE),
    "embedding": lambda pipe: pipe.embed(NOISE, sample_rate=RATE),
}


@pytest.fixture
def classifier() -> Classifier:
    config = ClassifierConfig(
        labels=("dog", "rain"),
        network="mn04",
        frontend=MelConfig(n_mels=16),
        window_seconds=0.5,
        hop_seconds=0.5,
    )
    torch.manual_seed(0)
    return Classifier(config)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("part", ["classifier", "network"])
@pytest.mark.parametrize("way", WAYS)
def test_a_converted_classifier_is_refused_with_what_to_do(classifier, dtype, part, way):
    pipe = Pipeline(classifier)
    before = WAYS[way](pipe)
    (classifier if part == "classifier" else classifier.network).to(dtype)
    with pytest.raises(ConfigError, match=rf"{dtype}.*\.float\(\).*autocast"):
        WAYS[way](pipe)
    classifier.float()
    assert type(WAYS[way](pipe)) is type(before)


def test_a_failure_of_a_classifier_in_float32_is_its_own(classifier):
    class Broken(Classifier):
        def predict(self, waveform: Tensor) -> Tensor:
            raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        Pipeline(Broken(classifier.config))(NOISE, sample_rate=RATE)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, WeightsError, AudioError])
def test_an_error_that_says_what_it_is_is_told_as_it_is(classifier, error):
    class Broken(Classifier):
        def predict(self, waveform: Tensor) -> Tensor:
            raise error("of its own")

    with pytest.raises(error, match="of its own"):
        Pipeline(Broken(classifier.config).double())(NOISE, sample_rate=RATE)


def test_a_network_that_converts_for_itself_is_left_alone(classifier):
    class Doubles(Classifier):
        def predict(self, waveform: Tensor) -> Tensor:
            return super().predict(waveform.double())

    scores = [p.score for p in Pipeline(classifier)(NOISE, sample_rate=RATE).predictions]
    doubles = Doubles(classifier.config)
    doubles.load_state_dict(classifier.state_dict())
    exact = [p.score for p in Pipeline(doubles.double())(NOISE, sample_rate=RATE).predictions]
    assert exact == pytest.approx(scores, abs=1e-5)


def test_what_autocast_gives_is_float32_again(classifier):
    pipe = Pipeline(classifier)
    exact = {way: WAYS[way](pipe) for way in ("scores", "embedding")}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores, embedding = WAYS["scores"](pipe).values, WAYS["embedding"](pipe)
    assert scores.dtype == embedding.dtype == torch.float32
    torch.testing.assert_close(scores, exact["scores"].values, atol=0.05, rtol=0)
    torch.testing.assert_close(embedding, exact["embedding"], atol=0.1, rtol=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_converted_separator_is_refused_with_what_to_do(dtype):
    config = SeparatorConfig(
        sources=("a", "b"), sample_rate=RATE, n_channels=1, segment_seconds=0.5
    )
    separator = Separator(mask_unet(2), config)
    separator.network.to(dtype)
    with pytest.raises(ConfigError, match=rf"{dtype}.*\.float\(\).*autocast"):
        separator(NOISE, sample_rate=RATE)
    separator.network.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert separator(NOISE, sample_rate=RATE).audio.dtype == torch.float32
