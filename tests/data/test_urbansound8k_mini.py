"""UrbanSound8K's folds 1, 2 and 10 in part, and what they share with ESC-50."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from soundsep import Pipeline, load_audio
from soundsep.datasets import ESC50
from soundsep.datasets.leakage import check_leakage
from soundsep.datasets.urban11 import Urban11
from soundsep.datasets.urbansound8k import UrbanSound8K
from soundsep.errors import DatasetError
from soundsep.labels import URBAN11_LABELS


@pytest.fixture(scope="module")
def root(data_dir: Path) -> Path:
    return data_dir / "data" / "urbansound8k-mini"


def test_the_table_is_balanced_and_splits_without_leak(root):
    data = UrbanSound8K(root)
    assert len(data) == 720
    counts = Counter((clip.fold, clip.label) for clip in data)
    assert len(counts) == 30
    assert set(counts.values()) == {24}
    for fold in (1, 2, 10):
        train, test = data.split(fold)
        assert (len(train), len(test)) == (480, 240)
        check_leakage(train, test)


def test_a_slice_is_read(root):
    samples, rate = load_audio(UrbanSound8K(root, folds=[10]).clips[0].path)
    assert rate == 22_050
    assert samples.shape == (4 * 22_050,)


def test_the_two_data_sets_share_recordings(root, esc50_root):
    esc50, slices = ESC50(esc50_root), UrbanSound8K(root)
    assert len({c.origin for c in esc50} & {c.origin for c in slices}) == 25
    with pytest.raises(DatasetError, match="origins are in the training"):
        check_leakage(esc50, slices)


def test_urban11_holds_shared_recordings_on_one_side(root, esc50_root):
    data = Urban11(esc50=esc50_root, urbansound8k=root)
    assert len(data) == 1000
    for fold, dropped in zip(data.fold_numbers, (18, 10, 3, 9, 10), strict=True):
        training, test = data.split(fold)
        check_leakage(training, test)
        assert len(data) - len(training) - len(test) == dropped
    training, test = data.split(5)
    assert {c.label for c in training} == {c.label for c in test} == set(URBAN11_LABELS)
    assert (len(training), len(test)) == (742, 248)


@pytest.mark.parametrize("name", ["urbansound8k-mn04", "urban11-mn04"])
@pytest.mark.usefixtures("all_weights")
def test_a_head_hears_soft_slices_as_loud_ones(root, name):
    waves = [load_audio(clip.path)[0] for clip in UrbanSound8K(root, folds=[10]).clips[::6]]
    pipe = Pipeline.from_pretrained(name)
    loud, soft = (
        [result.label for result in pipe([gain * wave for wave in waves], sample_rate=22_050)]
        for gain in (1.0, 0.01)
    )
    assert len(set(loud)) >= 5
    assert sum(a != b for a, b in zip(loud, soft, strict=True)) <= 1
