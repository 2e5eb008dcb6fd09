"""However a recording is cut into blocks, its scores are those of the whole."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from soundsep import Classifier, ClassifierConfig, Pipeline
from soundsep.frontends import KaldiMelConfig

LABELS = ("a", "b", "c")
RATES = (11_025, 16_000, 44_100, 48_000)


class Projection(Classifier):
    """Scores that every sample of a window changes."""

    def predict(self, waveform: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return (waveform @ torch.randn(waveform.shape[1], 3, generator=generator) / 30).sigmoid()


@functools.cache
def pipe() -> Pipeline:
    config = ClassifierConfig(labels=LABELS, network="mn04", window_seconds=0.5, hop_seconds=0.2)
    return Pipeline(Projection(config))


class FrameProjection(Classifier):
    """Scores of frames, each of which every sample of its window changes."""

    def frame_scores(self, waveform: Tensor) -> Tensor:
        generator, n_frames = torch.Generator().manual_seed(1), -(-waveform.shape[1] // 480)
        weight = torch.randn(waveform.shape[1], 3 * n_frames, generator=generator) / 30
        return (waveform @ weight).sigmoid().unflatten(1, (n_frames, 3))


@functools.cache
def frame_pipe() -> Pipeline:
    config = ClassifierConfig(
        labels=LABELS,
        network="mn04-frames",
        frontend=KaldiMelConfig(sample_rate=16_000, n_fft=512, win_length=400, hop_length=30),
        window_seconds=0.5,
        hop_seconds=0.2,
        activation="sigmoid",
    )
    return Pipeline(FrameProjection(config))


@functools.cache
def signal(rate: int, n_samples: int) -> Tensor:
    return 0.3 * torch.randn(n_samples, generator=torch.Generator().manual_seed(n_samples))


@functools.cache
def scores_of_the_whole(pipe, rate: int, n_samples: int) -> Tensor:
    return pipe().scores(signal(rate, n_samples), sample_rate=rate).values


def scores_of_blocks(pipe, rate: int, blocks) -> Tensor:
    stream = pipe().stream(sample_rate=rate, keep_scores=True)
    for block in blocks:
        stream.push(block)
    stream.flush()
    return stream.scores().values


@settings(max_examples=300, deadline=None)
@given(
    pipe=st.sampled_from([pipe, frame_pipe]),
    rate=st.sampled_from(RATES),
    n_samples=st.sampled_from([4_001, 30_000, 88_217, 150_000]),
    cuts=st.lists(st.floats(0, 1), max_size=20),
    singles=st.tuples(st.floats(0, 1), st.integers(0, 60)),
)
def test_any_cutting_gives_the_scores_of_the_whole(pipe, rate, n_samples, cuts, singles):
    at, n_singles = round(singles[0] * n_samples), singles[1]
    edges = {round(cut * n_samples) for cut in cuts} | set(range(at, at + n_singles))
    edges = sorted({0, n_samples, *(edge for edge in edges if edge < n_samples)})
    blocks = [signal(rate, n_samples)[a:b] for a, b in itertools.pairwise(edges)]
    torch.testing.assert_close(
        scores_of_blocks(pipe, rate, blocks),
        scores_of_the_whole(pipe, rate, n_samples),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("rate", "n_samples", "size"), [(11_025, 9_000, 1), (44_100, 150 * 44_100, 60 * 44_100)]
)
def test_single_samples_and_minutes(rate, n_samples, size):
    torch.testing.assert_close(
        scores_of_blocks(pipe, rate, signal(rate, n_samples).split(size)),
        scores_of_the_whole(pipe, rate, n_samples),
        atol=1e-5,
        rtol=0,
    )
