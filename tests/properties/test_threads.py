"""One pipeline in many threads: each call is answered as if it were alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline, Separator
from soundsep.models.separation import mask_unet
from soundsep.separator import SeparatorConfig

RATE = 16_000
N_THREADS = 8


def recordings() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        (10 ** rng.uniform(-3, -1) * rng.standard_normal(rng.integers(RATE, 2 * RATE))).astype("f4")
        for _ in range(N_THREADS)
    ]


def pipeline(kind: str) -> Pipeline:
    torch.manual_seed(0)
    config = ClassifierConfig(
        labels=("a", "b", "c"),
        network="mn04-frames" if kind == "frames" else "mn04",
        frontend=MelConfig(n_mels=128),
        activation="sigmoid",
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    separator = None
    if kind == "separator":
        settings = SeparatorConfig(
            sources=("x", "y"), sample_rate=RATE, n_channels=1, segment_seconds=1.0
        )
        separator = Separator(mask_unet(2), settings)
    runtime = "onnx" if kind == "onnx" else "torch"
    return Pipeline(Classifier(config), separator=separator, runtime=runtime)


@pytest.mark.parametrize("kind", ["plain", "frames", "separator", "onnx"])
def test_many_threads_share_a_pipeline(kind):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")

    def answer(samples: np.ndarray) -> tuple:
        result = pipe(samples, sample_rate=RATE, keep_sources=False)
        events = list(pipe.events(samples, sample_rate=RATE, threshold=0.3))
        return [p.score for p in result.predictions], events

    samples = recordings()
    pipe = pipeline(kind)
    alone = [answer(one) for one in samples]
    pipe = pipeline(kind)  # what it makes at its first call is made by all threads at once
    with ThreadPoolExecutor(N_THREADS) as pool:
        together = list(pool.map(answer, samples))
    for (scores, events), (expected, theirs) in zip(together, alone, strict=True):
        assert scores == pytest.approx(expected, abs=1e-6)
        assert [(e.label, e.start_seconds, e.end_seconds) for e in events] == [
            (e.label, e.start_seconds, e.end_seconds) for e in theirs
        ]
