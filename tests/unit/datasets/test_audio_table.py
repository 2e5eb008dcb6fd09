from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from soundsep.datasets import AudioTable, Clip, Concatenation, check_leakage
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


def test_a_table_is_read_from_its_own_folder(tmp_path, monkeypatch):
    table = write(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    data = AudioTable("data/table.csv")
    assert (data.labels, data.fold_numbers, data.notes) == (("a", "b"), (1, 2), ())
    found = [(c.path, c.label, c.target, c.fold, c.source) for c in data]
    assert found[1] == (Path("data/sub/a2.wav"), "a", 0, 2, "y")
    training, test = data.split(2)
    assert [c.source for c in training] == ["x", "z"]
    assert [c.source for c in test] == ["y", "w"]
    table.write_text(ROWS.replace("a1.wav", str(tmp_path / "data" / "a1.wav")), encoding="utf-8")
    assert AudioTable("data/table.csv").clips[0].path == tmp_path / "data" / "a1.wav"


def test_without_the_optional_columns_every_file_is_a_recording(tmp_path):
    text = (
        '\ufefflabel , note, path\r\n a ,"x, y",a1.wav\r\na,?,sub/a2.wav\r\nb,,b1.wav\r\nb,,b2.wav'
    )
    data = AudioTable(write(tmp_path, text))
    assert [(c.label, c.fold) for c in data] == [("a", 0), ("a", 0), ("b", 0), ("b", 0)]
    assert len({c.source for c in data}) == 4
    with pytest.raises(ConfigError, match="no folds: see Concatenation"):
        data.split(1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a1.wav", "gone.wav", r"line 2: no file .*gone\.wav; .* folder of the table \(1 of 4"),
        ("a1.wav", "sub", r"line 2: no file .*sub;"),
        ("path,", "file,", "no column path; found file, label, fold, group"),
        (",label", ",class", "no column label"),
        ("a1.wav,a,", "a1.wav, ,", "line 2: a value is missing: label"),
        (",2,y", ",,y", "line 3: a value is missing: fold"),
        (",1,z", ",1,", "line 4: a value is missing: group"),
        (",2,w", "", "line 5: a value is missing: fold, group"),
        (",2,w", ",2,w,v", "line 5: more values than columns"),
        ("a1.wav", "a" * 300, r"line 2: no file .*a;"),
        (",fold,", ",label,", "several columns label"),
        *(
            (",2,y", f",{fold},y", "line 3: fold must be")
            for fold in ("0", "-1", "1.0", "²", "1" * 5_000)
        ),
        ("b2.wav", "sub/../b1.wav", r"line 5: .*b1\.wav is listed more than once"),
        ("b2.wav,b", "b2.wav,c", r"too few in b \(1\), c \(1\)"),
        (ROWS[22:], "", "lists no clip"),
    ],
)
def test_wrong_tables_are_refused_with_the_line(tmp_path, old, new, message):
    assert old in ROWS
    with pytest.raises(DatasetError, match=message):
        AudioTable(write(tmp_path, ROWS.replace(old, new)))


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"no table .*gone\.csv; expected a csv"):
        AudioTable(tmp_path / "gone.csv")
    table = write(tmp_path)
    table.write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(DatasetError, match="not a table of comma-separated text"):
        AudioTable(table)


def test_a_table_from_windows_is_read(tmp_path):
    data = AudioTable(write(tmp_path, ROWS.replace("sub/a2", "sub\\a2").replace("a1.w", ".\\a1.w")))
    assert [clip.path for clip in data][:2] == [tmp_path / "a1.wav", tmp_path / "sub" / "a2.wav"]
    drive = write(tmp_path, ROWS.replace("a1.wav", "C:\\a1.wav"))
    with pytest.raises(DatasetError, match=r"line 2: no file .* backslashes are read, not driv"):
        AudioTable(drive)


@pytest.mark.parametrize("label", ["god\u202e", "a\u200bb", "\u2060", "\u2800", "x" * 500_000])
def test_a_label_that_cannot_be_shown_is_refused_with_its_line(tmp_path, label):
    with pytest.raises(DatasetError, match=r"(line 2: a class needs another name|not a table)"):
        AudioTable(write(tmp_path, ROWS.replace("a1.wav,a,", f"a1.wav,{label},")))


def test_a_part_may_hold_one_class_only(tmp_path):
    table = write(tmp_path, "path,label\na1.wav,a\n")
    with pytest.raises(DatasetError, match="found one class, 'a'"):
        AudioTable(table)
    assert len(AudioTable(table, partial=True)) == 1


def test_an_augmented_copy_in_another_fold_than_its_source_is_a_leak(tmp_path):
    data = AudioTable(write(tmp_path, ROWS.replace(",2,y", ",2,x")))
    with pytest.raises(DatasetError, match=r"1 recordings are in fold 2 and in others.*x \(a\)"):
        data.split(2)
    table = write(tmp_path)
    (tmp_path / "b2.wav").write_bytes(b"b1.wav")
    with pytest.raises(DatasetError, match="recordings are in fold 1"):
        AudioTable(table).split(1)


# Concatenation


def clip(name: str, label: str, fold: int, source: str | None = None) -> Clip:
    return Clip(path=Path(f"{name}.wav"), label=label, target=0, fold=fold, source=source or name)


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
    with pytest.raises(DatasetError, match="a file stands in several parts"):
        Concatenation([*parts, parts[0]])


def test_folds_of_different_number_are_joined(tmp_path):
    table = AudioTable(write(tmp_path, ROWS.replace(",2,", ",10,")))
    data = Concatenation([table, [clip(str(f), "dog", f) for f in range(1, 6)]])
    assert data.fold_numbers == (1, 2, 3, 4, 5)
    assert [c.fold for c in data] == [1, 5, 1, 5, 1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="cannot make 7 folds"):
        Concatenation([table, [clip("1", "dog", 5)]], n_folds=7)


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
    assert [c.source for c in data] == [f"9{i}" for i in range(1, 6)] * 2
    assert data.notes == (
        f"the same bytes under several classes: {official[1].path} and {own[1].path}",
    )


def test_a_recording_of_two_parts_is_never_learnt_from_when_it_is_tested_on():
    parts = [[clip("1", "dog", 1, "7"), clip("2", "dog", 1)], [clip("3", "dog", 2, "7")]]
    training, test = Concatenation(parts).split(2)
    assert ([c.path.stem for c in training], [c.path.stem for c in test]) == (["2"], ["3"])
