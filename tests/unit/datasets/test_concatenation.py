from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from soundsep.datasets import AudioTable, Clip, Concatenation, check_leakage
from soundsep.datasets.origins import merge_parts
from soundsep.errors import ConfigError, DatasetError

ROWS = "path,label,fold,group\na1.wav,a,1,x\nsub/a2.wav,a,2,y\nb1.wav,b,1,z\nb2.wav,b,2,w\n"


def write(root: Path, text: str = ROWS) -> Path:
    """The table, and files that are never decoded; each holds other bytes."""
    for name in ("a1.wav", "sub/a2.wav", "b1.wav", "b2.wav"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    table = root / "table.csv"
    table.write_text(text, encoding="utf-8")
    return table


def clip(name: str, label: str, fold: int, origin: str | None = None) -> Clip:
    return Clip(path=Path(f"{name}.wav"), label=label, target=0, fold=fold, origin=origin or name)


def test_parts_come_under_one_label_set():
    parts = [[clip("1", "dog", 1), clip("2", "rain", 2)], [clip("3", "hound", 2)]]
    data = Concatenation(parts, crosswalks=[None, {"hound": "dog", "cow": "cow"}])
    assert data.labels == ("dog", "rain", "cow")
    assert [(c.label, c.target, c.fold) for c in data] == [
        ("dog", 0, 1),
        ("rain", 1, 2),
        ("dog", 0, 2),
    ]
    left = Concatenation(parts, labels=("rain",), crosswalks=[{"rain": "rain"}, {}])
    assert [(c.label, c.target) for c in left] == [("rain", 0)]
    with pytest.raises(ConfigError, match="hound: not in the label set"):
        Concatenation(parts, labels=("rain", "dog"))
    with pytest.raises(ConfigError, match="2 parts need as many crosswalks, got 1"):
        Concatenation(parts, crosswalks=[None])
    with pytest.raises(DatasetError, match="no clip is left"):
        Concatenation(parts, labels=("rain",), crosswalks=[{}, {}])
    with pytest.raises(DatasetError, match=r"1\.wav is in several parts, or twice in one"):
        Concatenation([*parts, parts[0]])


def test_folds_of_different_number_are_joined(tmp_path):
    table = AudioTable(write(tmp_path, ROWS.replace(",2,", ",10,")))
    data = Concatenation([table, [clip(str(f), "dog", f) for f in range(1, 6)]])
    assert data.fold_numbers == (1, 2, 3, 4, 5)
    assert [c.fold for c in data] == [1, 5, 1, 5, 1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="cannot make 7 folds"):
        Concatenation([table, [clip("1", "dog", 5)]], n_folds=7)


def test_ten_folds_as_four_stay_in_their_order():
    data = Concatenation([[clip(str(fold), "dog", fold) for fold in range(1, 11)]], n_folds=4)
    assert [c.fold for c in data] == [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]


def test_what_has_no_folds_is_dealt_out_by_class_and_recording():
    free = [clip(f"{label}{i}", label, 0, f"{label}{i // 2}") for label in "ab" for i in range(20)]
    data = Concatenation([free])
    counts = {(f, x): 0 for f in data.fold_numbers for x in "ab"}
    for c in data:
        counts[c.fold, c.label] += 1
    assert set(counts.values()) == {4}
    for fold in data.fold_numbers:
        check_leakage(*data.split(fold))
    assert [c.fold for c in Concatenation([free])] == [c.fold for c in data]
    assert [c.fold for c in Concatenation([free], seed=1)] != [c.fold for c in data]


def test_copies_join_the_fold_of_the_recording_they_were_made_from():
    official = [clip(f"o{i}", "dog", i, f"{i}") for i in range(1, 6)]
    copies = [clip(f"c{i}", "dog", 0, f"{i}") for i in range(1, 6)]
    data = Concatenation([official, copies])
    assert [c.fold for c in data] == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]


def test_a_file_with_the_bytes_of_another_part_goes_with_it(tmp_path):
    official = [
        replace(clip(f"o{i}", "dog", i, f"9{i}"), path=tmp_path / f"{i}.wav") for i in range(1, 6)
    ]
    own = [
        replace(clip(f"c{i}", "dog", 0, f"1{i}"), path=tmp_path / f"copy{i}.wav")
        for i in range(1, 6)
    ]
    for part in (official, own):
        for i, c in enumerate(part):
            c.path.write_text(str(i))
    own[1] = replace(own[1], label="cat", target=1)
    data = Concatenation([official, own])
    assert [c.fold for c in data] == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert [c.origin for c in data] == [f"9{i}" for i in range(1, 6)] * 2
    assert data.notes == (
        f"the same bytes under several classes: {official[1].path} and {own[1].path}",
    )


def test_copies_within_one_part_stay_as_its_makers_name_them(tmp_path):
    """The official folds stay what they are; only files of several parts are merged."""
    one = [replace(clip(f"a{i}", "dog", i, f"9{i}"), path=tmp_path / f"a{i}") for i in (1, 2)]
    two = [replace(clip("b", "dog", 1, "10"), path=tmp_path / "b")]
    for c, text in zip([*one, *two], ("same", "same", "else"), strict=True):
        c.path.write_text(text)
    merged, notes = merge_parts([one, two])
    assert [c.origin for c in merged] == ["91", "92", "10"]
    assert notes == []


def test_a_recording_of_two_parts_is_never_learnt_from_when_it_is_tested_on():
    parts = [[clip("1", "dog", 1, "7"), clip("2", "dog", 1)], [clip("3", "dog", 2, "7")]]
    training, test = Concatenation(parts).split(2)
    assert ([c.path.stem for c in training], [c.path.stem for c in test]) == (["2"], ["3"])


def test_data_sets_are_not_added_with_a_plus(tmp_path):
    """PyTorch would join the clips and leave the targets, which stand for other labels."""
    data = AudioTable(write(tmp_path))
    with pytest.raises(ConfigError, match=r"AudioTable cannot be added: Concatenation joins"):
        data + data
