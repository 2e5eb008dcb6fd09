"""The default model on real clips: how far away the microphone was changes hardly a name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from soundsep import Pipeline
from soundsep.audio.level import level_db
from soundsep.checkpoints.registry import PUBLISHED
from soundsep.datasets import ESC50, load_examples

MODELS = sorted(name for name in PUBLISHED if name.startswith("esc50-mn04"))
RATE = 16_000


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return Pipeline.from_pretrained("esc50-mn04")


@pytest.fixture(scope="module")
def examples(esc50_root) -> list[tuple[Tensor, int]]:
    """A clip of every class of the fold that the model has never heard."""
    by_class = {clip.target: clip for clip in ESC50(esc50_root, folds=[5]).clips}
    clips = [by_class[target] for target in sorted(by_class)]
    return load_examples(clips, sample_rate=RATE, progress=False)


def right(pipe: Pipeline, examples: list[tuple[Tensor, int]], *, gain: float, offset=0.0) -> int:
    results = pipe([gain * clip + offset for clip, _ in examples], sample_rate=RATE)
    return sum(r.label == pipe.labels[t] for r, (_, t) in zip(results, examples, strict=True))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("all_weights")
def test_every_fold_has_one_level(pipe, name):
    level = Pipeline.from_pretrained(name).classifier.config.clip_level_db
    assert level == pipe.classifier.config.clip_level_db == -35.0


@pytest.mark.parametrize("softer_db", [20, 40, 60])
def test_softer_clips_are_named_as_well(pipe, examples, softer_db):
    as_recorded = right(pipe, examples, gain=1.0)
    assert as_recorded >= 0.85 * len(examples)
    assert right(pipe, examples, gain=10 ** (-softer_db / 20)) >= as_recorded - 2


def test_an_offset_does_not_drown_soft_clips(pipe, examples):
    as_recorded = right(pipe, examples, gain=1.0)
    assert right(pipe, examples, gain=0.01, offset=0.05) >= as_recorded - 2


def test_two_soft_recordings_have_the_same_scores(pipe, examples):
    for clip, _ in examples[::10]:
        peak = clip / clip.abs().max()
        softer = pipe([gain * peak for gain in (3e-3, 1e-3)], sample_rate=RATE)
        assert level_db(3e-3 * peak, sample_rate=RATE) < -35
        one, other = (torch.tensor([p.score for p in result.predictions]) for result in softer)
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_events_hear_a_recording_as_it_is(pipe, examples):
    clip = 0.01 * examples[0][0]
    raising = pipe.scores(clip, sample_rate=RATE).values
    config = pipe.classifier.config
    pipe.classifier.config = config.replace(clip_level_db=None)
    plain = pipe.scores(clip, sample_rate=RATE).values
    pipe.classifier.config = config
    torch.testing.assert_close(raising, plain, atol=0, rtol=0)
