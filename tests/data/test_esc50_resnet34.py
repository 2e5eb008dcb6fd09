"""The shipped model on real recordings."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep import Pipeline
from soundsep.checkpoints.registry import PUBLISHED, published_results
from soundsep.datasets import ESC50
from soundsep.evaluation import evaluate

pytestmark = pytest.mark.usefixtures("all_weights")

NAME = "esc50-resnet34"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    return Pipeline.from_pretrained(NAME)


def scores(result) -> np.ndarray:
    found = {p.label: p.score for p in result.predictions}
    return np.array([found[label] for label in sorted(found)])


def test_the_card_agrees_with_the_table_of_published_files():
    for file in PUBLISHED[NAME].files:
        assert (ROOT / "weights" / NAME / file.name).stat().st_size == file.size


@pytest.mark.slow
@pytest.mark.parametrize("name", [NAME, *(f"esc50-mn04-fold{k}" for k in (1, 2, 3, 4, 5))])
def test_accuracy_on_the_whole_of_the_fold_held_out(name, esc50_root):
    fold = PUBLISHED[name].test_fold
    evaluation = evaluate(
        Pipeline.from_pretrained(name), ESC50(esc50_root, folds=[fold]).clips, batch_size=16
    )
    assert evaluation.n_clips == 400
    assert evaluation.metrics.accuracy >= published_results()[name]["accuracy"] - 0.01


def test_every_tenth_clip_of_fold_5(pipe, esc50_root):
    clips = ESC50(esc50_root, folds=[5]).clips[::10]
    evaluation = evaluate(pipe, clips)
    # 40 clips: three standard errors below the model's accuracy
    expected = published_results()[NAME]["accuracy"]
    assert evaluation.metrics.accuracy > expected - 3 * (expected * (1 - expected) / 40) ** 0.5


ESC10 = {
    "001 - Dog bark": "dog",
    "002 - Rain": "rain",
    "003 - Sea waves": "sea_waves",
    "004 - Baby cry": "crying_baby",
    "005 - Clock tick": "clock_tick",
    "006 - Person sneeze": "sneezing",
    "007 - Helicopter": "helicopter",
    "008 - Chainsaw": "chainsaw",
    "009 - Rooster": "rooster",
    "010 - Fire crackling": "crackling_fire",
}


def test_full_rate_vorbis_clips_are_heard_as_well(pipe, data_dir):
    """Fold 5 of ESC-10 at 44.1 kHz: other rate, other codec, none of it learnt."""
    root = data_dir / "data" / "esc10-44k"
    files = [(path, ESC10[f.name]) for f in root.iterdir() for path in f.glob("5-*.ogg")]
    assert len(files) == 20
    right = sum(pipe(path).label == label for path, label in files)
    assert right >= 14  # 79 % of 20 is 16; two standard errors are 4 clips


def test_a_real_clip_alone_and_among_loud_ones(pipe, esc50_root):
    clip = ESC50(esc50_root, folds=[5]).clips[7]
    loud = np.random.default_rng(0).uniform(-1, 1, 80_000)
    alone = scores(pipe(clip.path))
    together = scores(pipe([loud, clip.path, loud, loud], batch_size=4)[1])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_24"), ("AIFF", "PCM_16"), ("CAF", "PCM_16")]
)
def test_the_container_does_not_change_the_answer(pipe, esc50_root, container, subtype):
    path = ESC50(esc50_root, folds=[5]).clips[3].path
    samples, rate = soundfile.read(path)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    np.testing.assert_allclose(scores(pipe(buffer.getvalue())), scores(pipe(path)), atol=1e-5)
