"""The shipped models of scenes on real recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from soundsep import Pipeline
from soundsep.checkpoints.registry import PUBLISHED
from soundsep.datasets import (
    ESC50,
    LONG_SCENES,
    Mixtures,
    Soundscapes,
    UrbanSound8K,
    load_examples,
)
from soundsep.evaluation import measure_events, measure_naming

ROOT = Path(__file__).resolve().parents[2]
MEASURED = json.loads((ROOT / "docs" / "world.json").read_text(encoding="utf-8"))
FOLDS = sorted(name for name in PUBLISHED if name.startswith("scenes50-mn04-fold"))
RATE = 16_000


@pytest.fixture(scope="module", params=FOLDS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def pipe(name, all_weights) -> Pipeline:
    return Pipeline.from_pretrained(name)


@pytest.fixture(scope="module")
def examples(name, esc50_root) -> list[tuple[Tensor, int]]:
    """Every fifth clip of the fold that the model has never heard."""
    clips = ESC50(esc50_root, folds=[PUBLISHED[name].test_fold]).clips[::5]
    return load_examples(clips, sample_rate=RATE, progress=False)


@pytest.mark.parametrize("level_db", [0, -40])
def test_single_clips_at_any_level(name, pipe, examples, level_db):
    results = pipe([10 ** (level_db / 20) * clip for clip, _ in examples], sample_rate=RATE)
    right = [
        r.top(1)[0].label == pipe.labels[t] for r, (_, t) in zip(results, examples, strict=True)
    ]
    expected = MEASURED[name]["single"]["accuracy"]
    # 80 clips: three standard errors
    assert sum(right) / len(right) > expected - 3 * (expected * (1 - expected) / len(right)) ** 0.5


def test_noise_has_no_name(pipe):
    generator = torch.Generator().manual_seed(0)
    noise = [gain * torch.randn(5 * RATE, generator=generator) for gain in (0.3, 0.03, 0.003)]
    assert [result.labels for result in pipe(noise, sample_rate=RATE)] == [(), (), ()]
    assert [*pipe.events(torch.cat(noise), sample_rate=RATE)] == []


def test_most_sounds_of_no_label_have_no_name(pipe, data_dir):
    clips = UrbanSound8K(data_dir / "data" / "urbansound8k-mini", folds=[10]).clips
    guns = [clip for clip in clips if clip.label == "gun_shot"]
    waveforms = [w for w, _ in load_examples(guns, sample_rate=RATE, progress=False)]
    named = [bool(result.labels) for result in pipe(waveforms, sample_rate=RATE)]
    assert sum(named) <= 0.25 * len(named)


def test_two_sounds_at_once(name, pipe, examples):
    metrics = measure_naming(
        pipe.classifier, Mixtures(examples, n_mixtures=60, seed=3), progress=False
    )
    assert metrics.all_found > MEASURED[name]["mixtures"]["all_found"] - 0.2
    assert metrics.one_found > 0.8


def test_events_of_a_long_scene(pipe, examples, esc50_root):
    scenes = Soundscapes(examples, n_scenes=1, seed=4, config=LONG_SCENES)
    metrics = measure_events(pipe, scenes, ESC50.labels, progress=False)
    assert metrics.overlap.f1 > 0.55
    assert metrics.spurious_per_hour < 60
