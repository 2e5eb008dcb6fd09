from __future__ import annotations

from pathlib import Path

import pytest

from soundsep.datasets import AudioFolder, Concatenation
from soundsep.datasets.leakage import check_leakage
from soundsep.datasets.urban11 import Urban11
from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import ESC50_LABELS, URBAN11_LABELS, URBANSOUND8K_LABELS


@pytest.fixture
def esc50(tmp_path) -> Path:
    """A dog and rain in each of five folds; their origins are 10, 11, 20, 21, ..."""
    root = tmp_path / "ESC-50"
    lines = ["filename,fold,target,category,src_file"]
    for fold in range(1, 6):
        for i, label in enumerate(("dog", "rain", "vacuum_cleaner")):
            name = f"{fold}-{fold}{i}-A.wav"
            lines.append(f"{name},{fold},{ESC50_LABELS.index(label)},{label},{fold}{i}")
            path = root / "audio" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text("\n".join(lines))
    return root


@pytest.fixture
def urbansound8k(tmp_path) -> Path:
    """A dog and children in folds 1, 2 and 10; the origin of children in fold 10 is ESC-50's 20."""
    root = tmp_path / "UrbanSound8K"
    lines = ["slice_file_name,fsID,fold,classID,class"]
    for fold in (1, 2, 10):
        for i, label in enumerate(("dog_bark", "children_playing", "drilling")):
            name = f"{fold}-{i}.wav"
            origin = "20" if (fold, i) == (10, 1) else f"9{fold}{i}"
            lines.append(f"{name},{origin},{fold},{URBANSOUND8K_LABELS.index(label)},{label}")
            path = root / "audio" / f"fold{fold}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (root / "metadata").mkdir()
    (root / "metadata" / "UrbanSound8K.csv").write_text("\n".join(lines))
    return root


def test_two_folds_of_urbansound8k_go_with_one_of_esc50(esc50, urbansound8k):
    data = Urban11(esc50=esc50, urbansound8k=urbansound8k)
    assert len(data) == 10 + 6
    slices = [(c.fold, c.label) for c in data if c.path.is_relative_to(urbansound8k)]
    kinds = ("dog", "conversation")
    assert slices == [(fold, kind) for fold in (1, 1, 5) for kind in kinds]
    assert all(c.label == URBAN11_LABELS[c.target] for c in data)
    assert {c.fold for c in Urban11(esc50=esc50, urbansound8k=urbansound8k, folds=[2])} == {2}


def test_a_recording_of_both_sets_is_never_learnt_from_when_it_is_tested_on(esc50, urbansound8k):
    data = Urban11(esc50=esc50, urbansound8k=urbansound8k)
    # Source 20: a dog in fold 2 of ESC-50, children in fold 10 of UrbanSound8K.
    training, test = data.split(5)
    assert (len(training), len(test)) == (11, 4)
    assert "20" not in {c.origin for c in training}
    training, test = data.split(2)
    assert (len(training), len(test)) == (13, 2)
    assert "20" in {c.origin for c in test}
    for fold in data.fold_numbers:
        check_leakage(*data.split(fold))
    with pytest.raises(DatasetError, match="example 20"):
        check_leakage((c for c in data if c.fold != 5), (c for c in data if c.fold == 5))


def test_a_folder_of_ones_own_joins_the_eleven(esc50, urbansound8k, tmp_path):
    for i in range(10):
        path = tmp_path / "own" / "talk" / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(i))
    own = AudioFolder(tmp_path / "own", partial=True)
    urban = Urban11(esc50=esc50, urbansound8k=urbansound8k)
    data = Concatenation([urban, own], crosswalks=[None, {"talk": "conversation"}])
    assert (data.labels, data.fold_numbers) == (URBAN11_LABELS, (1, 2, 3, 4, 5))
    for fold in data.fold_numbers:
        training, test = data.split(fold)
        check_leakage(training, test)
        assert sum(c.path.is_relative_to(own.root) for c in test) == 2
        assert [c for c in test if c in set(urban)] == list(urban.split(fold)[1])


def test_one_data_set_alone_will_do_and_none_will_not(esc50, urbansound8k):
    assert len(Urban11(esc50=esc50)) == 10
    assert len(Urban11(urbansound8k=urbansound8k)) == 6
    with pytest.raises(ConfigError, match="urban11 needs the folder"):
        Urban11()
    with pytest.raises(ConfigError, match="folds 1 to 5"):
        Urban11(esc50=esc50, folds=[6])
    with pytest.raises(DatasetError, match="no clip of urban11"):
        Urban11(urbansound8k=urbansound8k, folds=[3])
    with pytest.raises(ConfigError, match="holding fold 3 out"):
        Urban11(urbansound8k=urbansound8k).split(3)
