from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn

from soundsep import ConfigError, Separator

SOURCES = ["drums", "bass", "vocals"]
RATE = 8_000


def htdemucs(segment: Fraction = Fraction(39, 50)) -> nn.Module:
    from demucs.htdemucs import HTDemucs

    return HTDemucs(
        SOURCES,
        channels=8,
        depth=3,
        nfft=512,
        t_layers=1,
        t_heads=2,
        samplerate=RATE,
        segment=segment,
    ).eval()


def hdemucs() -> nn.Module:
    from demucs.hdemucs import HDemucs

    return HDemucs(SOURCES, channels=8, samplerate=RATE, segment=1).eval()


def demucs() -> nn.Module:
    from demucs.demucs import Demucs

    return Demucs(SOURCES, channels=8, samplerate=RATE, segment=1).eval()


def bag() -> nn.Module:
    from demucs.apply import BagOfModels

    first = hdemucs()
    weights = [[1.0, 0.0, 0.5], [0.0, 2.0, 1.0], [1.0, 1.0, 3.0]]
    return BagOfModels([first, demucs(), first], weights)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("make", [htdemucs, hdemucs, demucs, bag])
def test_answers_are_those_of_demucs(make):
    from demucs.apply import apply_model

    network = make()
    separator = Separator(network)
    segment, step = separator.config.segment_samples, separator.config.step_samples
    # Shorter than a segment, whole segments, whole steps, one sample more, something odd.
    for n in (2, 777, segment - 1, segment, segment + 1, segment + step, 4 * segment + 77):
        mixture = noise(2, n)
        mixture -= mixture.mean(dim=1, keepdim=True)  # an offset is not heard here
        mixture[:, segment + 2 : -segment] = 0.0  # of the longest; silence is not computed here
        with torch.no_grad():
            expected = apply_model(network, mixture[None], shifts=0, overlap=0.25)[0]
        answer = separator(mixture).audio
        torch.testing.assert_close(answer, expected, atol=1e-6, rtol=0)


def test_a_shorter_segment_and_more_overlap_as_demucs():
    from demucs.apply import apply_model

    network = hdemucs()
    mixture = noise(2, 3 * RATE)
    with torch.no_grad():
        expected = apply_model(network, mixture[None], shifts=0, overlap=0.6, segment=0.7)[0]
    changed = Separator(network).config.replace(segment_seconds=0.7, overlap=0.6)
    torch.testing.assert_close(Separator(network, changed)(mixture).audio, expected)


def test_a_transformer_has_a_longest_segment():
    network = htdemucs()
    longer = Separator(network).config.replace(segment_seconds=1.0)
    with pytest.raises(ConfigError, match="longer than training length"):
        Separator(network, longer)


def test_models_of_a_bag_hear_one_length():
    from demucs.apply import BagOfModels

    with pytest.raises(ConfigError, match="expected one length"):
        Separator(BagOfModels([htdemucs(), htdemucs(Fraction(1, 2))]))


def test_segments_that_would_fill_the_memory_are_refused():
    network = hdemucs()
    network.segment = 400  # seconds
    with pytest.raises(ConfigError, match=r"3200000 samples; expected at most 2646000"):
        Separator(network)
