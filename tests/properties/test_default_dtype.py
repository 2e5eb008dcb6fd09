"""What torch's default dtype is changes nothing: programs that compute in float64 may set it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from soundsep import Classifier, ClassifierConfig, Pipeline, Separator
from soundsep.frontends import KaldiMelConfig, MelConfig, WaveformConfig
from soundsep.models import NETWORKS, WAVEFORM_NETWORKS
from soundsep.separator import SeparatorConfig

RATE = 16_000
CLIP = torch.randn(3 * RATE, generator=torch.Generator().manual_seed(0)) * 0.1


@pytest.fixture
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def made(network: str) -> Classifier:
    frontend = MelConfig() if network[:2] != "mn" else KaldiMelConfig(sample_rate=RATE, f_max=8e3)
    if network in WAVEFORM_NETWORKS:
        frontend = WaveformConfig()
    config = ClassifierConfig(
        labels=("dog", "rain"),
        network=network,
        frontend=frontend,
        activation="sigmoid",
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    return Classifier(config)


def answers(classifier: Classifier) -> list[torch.Tensor]:
    pipe = Pipeline(classifier)
    half = torch.cat((CLIP, 0 * CLIP))
    found = [pipe.scores(x, sample_rate=8_000).values for x in (CLIP, half)]
    stream = pipe.stream(sample_rate=RATE, keep_scores=True)
    for block in CLIP.split(700):
        stream.push(block)
    stream.flush()
    result = pipe(CLIP, sample_rate=RATE)
    return [
        *found,
        stream.scores().values,
        pipe.embed(CLIP, sample_rate=RATE),
        torch.tensor([result.score], dtype=torch.float32),
    ]


@pytest.mark.parametrize("network", NETWORKS)
def test_scores_are_those_of_float32(network, request):
    reference = made(network)
    expected = answers(reference)
    request.getfixturevalue("in_float64")
    classifier = made(network)
    classifier.load_state_dict(reference.state_dict())
    for found, wanted in zip(answers(classifier), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)  # dtype too


def test_sources_are_those_of_float32(request):
    class Halves(nn.Module):
        def forward(self, mixture: torch.Tensor) -> torch.Tensor:
            return torch.stack((mixture / 2, mixture / 2), dim=1)

    settings = SeparatorConfig(
        sources=("a", "b"), sample_rate=RATE, n_channels=1, segment_seconds=1.0
    )
    expected = Separator(Halves(), settings)(CLIP, sample_rate=RATE)
    request.getfixturevalue("in_float64")
    found = Separator(Halves(), settings)(CLIP, sample_rate=RATE)
    torch.testing.assert_close(found["a"], expected["a"], atol=1e-6, rtol=1e-5)
