from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from soundsep.datasets import ESC50
from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import ESC50_LABELS

COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")


def rows() -> list[dict[str, str]]:
    """Two clips in each fold: a dog and rain."""
    return [
        {
            "filename": f"{fold}-{100 * fold + target}-A-{target}.wav",
            "fold": str(fold),
            "target": str(target),
            "category": ESC50_LABELS[target],
            "esc10": "True",
            "src_file": str(100 * fold + target),
            "take": "A",
        }
        for fold in range(1, 6)
        for target in (0, 10)
    ]


def write(
    root: Path, table: list[dict[str, str]], *, columns=COLUMNS, suffix: str = ".wav"
) -> Path:
    for folder in ("meta", "audio"):
        (root / folder).mkdir(exist_ok=True)
    with (root / "meta" / "esc50.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    for row in rows():
        (root / "audio" / row["filename"]).with_suffix(suffix).touch()
    return root


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_clips_are_found_under_any_suffix(tmp_path, suffix):
    data = ESC50(write(tmp_path, rows(), suffix=suffix))
    assert len(data) == 10
    first = next(iter(data))
    assert first.path == tmp_path / "audio" / f"1-100-A-0{suffix}"
    assert (first.label, first.target, first.fold, first.origin) == ("dog", 0, 1, "100")


def test_folds_can_be_chosen_and_held_out(tmp_path):
    data = ESC50(write(tmp_path, rows()), folds=(1, 2, 3))
    assert {clip.fold for clip in data} == {1, 2, 3}
    train, test = data.split(2)
    assert ({c.fold for c in train}, {c.fold for c in test}) == ({1, 3}, {2})
    with pytest.raises(ConfigError, match="holding fold 5 out"):
        data.split(5)
    with pytest.raises(ConfigError, match="folds 1 to 5"):
        ESC50(tmp_path, folds=(0, 1))
    with pytest.raises(ConfigError, match="folds 1 to 5"):
        ESC50(tmp_path, folds=())


def test_a_blank_does_not_make_another_recording(tmp_path):
    table = rows()
    table[2]["src_file"] = table[0]["src_file"] + " "
    with pytest.raises(DatasetError, match="recordings are in fold 1 and in others"):
        ESC50(write(tmp_path, table)).split(1)


def test_table_saved_by_a_spreadsheet_program_is_read(tmp_path):
    table = write(tmp_path, rows()) / "meta" / "esc50.csv"
    table.write_text(table.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert len(ESC50(tmp_path)) == 10


def test_missing_table_says_what_is_expected(tmp_path):
    with pytest.raises(DatasetError, match=r"no .*esc50\.csv; expected the official layout"):
        ESC50(tmp_path)


@pytest.mark.parametrize("column", ["filename", "fold", "target", "category", "src_file"])
def test_missing_column_is_named(tmp_path, column):
    write(tmp_path, rows(), columns=[c for c in COLUMNS if c != column])
    with pytest.raises(DatasetError, match=f"no column {column}"):
        ESC50(tmp_path)


def test_missing_clips_are_counted_unless_their_fold_is_not_wanted(tmp_path):
    write(tmp_path, rows())
    for target in (0, 10):
        (tmp_path / "audio" / f"4-{400 + target}-A-{target}.wav").unlink()
    with pytest.raises(DatasetError, match=r"2 of 10 clips are missing .* the first is 4-400-A-0"):
        ESC50(tmp_path)
    assert len(ESC50(tmp_path, folds=(1, 2))) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fold": "0"}, "line 4: fold 0"),
        ({"fold": "6"}, "line 4: fold 6"),
        ({"fold": "two"}, "line 4: .* integers"),
        ({"fold": ""}, "line 4: a value is missing"),
        ({"target": "50"}, "target 50 is out of range"),
        ({"target": "-1"}, "target -1 is out of range"),
        ({"target": "1"}, "target 1 is rooster, not dog"),
        ({"category": "Dog"}, "target 0 is dog, not Dog"),
        ({"src_file": ""}, "a value is missing"),
        ({"filename": ""}, "a value is missing"),
        ({"filename": "../secret.wav"}, "not a plain file name"),
        ({"filename": "/secret.wav"}, "not a plain file name"),
        ({"filename": "sub/1.wav"}, "not a plain file name"),
        ({"filename": "..\\secret.wav"}, "not a plain file name"),
        ({"filename": ".."}, "not a plain file name"),
        ({"filename": "."}, "not a plain file name"),
        ({"filename": "1-100-A-0.wav"}, "lists 1-100-A-0.wav more than once"),
    ],
)
def test_wrong_rows_are_refused_with_their_line(tmp_path, changes, message):
    table = rows()
    table[2] |= changes
    with pytest.raises(DatasetError, match=message):
        ESC50(write(tmp_path, table))


def test_short_row_is_refused(tmp_path):
    table = write(tmp_path, rows()) / "meta" / "esc50.csv"
    table.write_text(table.read_text(encoding="utf-8") + "5-1-A-0.wav,5,0,dog\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="line 12: a value is missing"):
        ESC50(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"filename,fold\n" + b"x" * 200_000])
def test_table_that_is_no_text_is_refused(tmp_path, content):
    (write(tmp_path, rows()) / "meta" / "esc50.csv").write_bytes(content)
    with pytest.raises(DatasetError):
        ESC50(tmp_path)


def test_empty_table_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="lists no clip"):
        ESC50(write(tmp_path, []))


def test_recording_on_both_sides_of_a_split_is_a_leak(tmp_path):
    table = rows()
    table[2]["src_file"] = table[0]["src_file"]  # two dogs, folds 1 and 2
    data = ESC50(write(tmp_path, table))
    with pytest.raises(DatasetError, match=r"1 recordings are in fold 1 .* 100 \(dog\)"):
        data.split(1)
    with pytest.raises(DatasetError, match="in fold 2"):
        data.split(2)
    assert len(data.split(3)[1]) == 2  # both dogs on the same side: no leak


def test_recording_under_two_classes_is_the_official_tables_own(tmp_path):
    table = rows()
    table[3]["src_file"] = table[0]["src_file"]  # a dog in fold 1, rain in fold 2
    train, test = ESC50(write(tmp_path, table)).split(1)
    assert (len(train), len(test)) == (8, 2)


def test_real_table_is_balanced_and_splits_without_leak(esc50_root):
    data = ESC50(esc50_root)
    assert len(data) == 2000
    assert set(Counter(clip.fold for clip in data).values()) == {400}
    assert set(Counter(clip.label for clip in data).values()) == {40}
    assert set(Counter((clip.fold, clip.label) for clip in data).values()) == {8}
    for fold in range(1, 6):
        train, test = data.split(fold)
        assert (len(train), len(test)) == (1600, 400)
        assert not {c.path for c in train} & {c.path for c in test}


def test_what_is_printed_says_what_it_is(tmp_path):
    data = ESC50(write(tmp_path, rows()), folds=[2, 4])
    assert repr(data) == "ESC50(ESC-50: 4 clips of 50 labels in folds 2, 4)"
