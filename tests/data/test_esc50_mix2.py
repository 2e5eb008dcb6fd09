"""The shipped separator on real recordings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from soundsep import Classifier, Pipeline, Separator, WeightsError
from soundsep.checkpoints.registry import PUBLISHED, published_results
from soundsep.datasets import ESC50, Mixtures, load_examples
from soundsep.evaluation import evaluate
from soundsep.evaluation.mixtures import measure_naming, measure_separation
from soundsep.metrics import snr

pytestmark = pytest.mark.usefixtures("all_weights")

NAME, CLASSIFIER = "esc50-mix2", "esc50-mn04-fold5"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def separator() -> Separator:
    return Separator.from_pretrained(NAME)


@pytest.fixture(scope="module")
def clips(esc50_root):
    return ESC50(esc50_root, folds=[5]).clips


@pytest.fixture(scope="module")
def mixtures(clips) -> Mixtures:
    return Mixtures(load_examples(clips, sample_rate=16_000, progress=False), n_mixtures=500)


def test_the_benchmark_is_the_same_list_everywhere(mixtures, clips):
    names = [" + ".join(clips[i].path.stem for i in mixture.clips) for mixture in mixtures]
    assert names[0] == "5-249748-A-28 + 5-221528-A-39"
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    assert digest == "9b47491951ecad64e300196f90c1152bbe39a78e2eba6d0ac0cc809d2e84756d"


def test_the_files_are_those_of_the_table():
    for file in PUBLISHED[NAME].files:
        data = (ROOT / "weights" / NAME / file.name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)


def test_one_kind_of_model_is_not_taken_for_the_other():
    with pytest.raises(WeightsError, match="pass it as separator="):
        Classifier.from_pretrained(NAME)
    with pytest.raises(WeightsError, match="holds a classifier"):
        Separator.from_pretrained(CLASSIFIER)


def test_the_first_mixtures_come_apart(separator, mixtures):
    few = Mixtures(mixtures.examples, n_mixtures=40)
    each = measure_separation(separator, few, progress=False).improvements.mean(axis=1)
    expected = published_results()[NAME]["si_sdr_improvement_mean_db"]
    assert expected > 7
    assert each.mean() > expected - 3 * each.std() / np.sqrt(len(each))


@pytest.mark.parametrize("offset", [0.02, -0.3])
def test_a_soft_recording_comes_apart_beside_an_offset(separator, mixtures, offset):
    for mixture in Mixtures(mixtures.examples, n_mixtures=4):
        soft = 0.03 * (mixture.waveform - mixture.waveform.mean())
        expected = separator(soft, 16_000, progress=False).audio
        found = separator(soft + offset, 16_000, progress=False).audio - offset / 2
        assert snr(found, expected).min() > 30


def test_a_long_recording_is_taken_apart_as_its_segments_are(separator, mixtures):
    """20 s of one mixture again and again: sources that come apart stay in their order."""
    few = Mixtures(mixtures.examples, n_mixtures=10)
    each = measure_separation(separator, few, progress=False).improvements.min(axis=1)
    apart = [mixture for mixture, gained in zip(few, each, strict=True) if gained > 3]
    assert len(apart) >= 4
    for mixture in apart[:4]:
        long = separator(mixture.waveform.repeat(4), 16_000, progress=False)
        assert long.audio.shape == (2, 1, 320_000)
        torch.testing.assert_close(long.audio.sum(dim=0), long.mixture, atol=1e-4, rtol=0)
        quarters = long.audio[:, 0].view(2, 4, -1)
        for other in range(1, 4):
            same = (quarters[:, 0] * quarters[:, other]).sum()
            swapped = (quarters[:, 0].flip(0) * quarters[:, other]).sum()
            assert same > swapped


@pytest.mark.slow
def test_the_figures_of_the_results_file(separator, mixtures, clips):
    results = json.loads((ROOT / "docs" / "separation.json").read_text(encoding="utf-8"))
    found = measure_separation(separator, mixtures).to_dict(ESC50.labels)
    for figure in ("si_sdr_improvement_mean_db", "si_sdr_improvement_median_db"):
        assert found[figure] == pytest.approx(results[figure], abs=0.02)
    classifier = Classifier.from_pretrained(CLASSIFIER).eval()
    expected = results["naming"][CLASSIFIER]
    separated = measure_naming(classifier, mixtures, separator=separator)
    assert separated.all_found == pytest.approx(expected["separated"]["all_found"], abs=0.01)
    assert separated.all_found > expected["as it is"]["all_found"]  # of a model of single sounds
    accuracy = evaluate(Pipeline(classifier, separator=separator), clips).metrics.accuracy
    assert accuracy >= published_results()[CLASSIFIER]["accuracy"] - 0.01
