from __future__ import annotations

import csv
from pathlib import Path

import pytest

from soundsep.datasets.urbansound8k import UrbanSound8K
from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import URBANSOUND8K_LABELS

COLUMNS = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")


def rows() -> list[dict[str, str]]:
    """Two slices in each fold: an air conditioner and a siren."""
    return [
        {
            "slice_file_name": f"{100 * fold + target}-{target}-0-0.wav",
            "fsID": str(100 * fold + target),
            "start": "0.0",
            "end": "4.0",
            "salience": "1",
            "fold": str(fold),
            "classID": str(target),
            "class": URBANSOUND8K_LABELS[target],
        }
        for fold in range(1, 11)
        for target in (0, 8)
    ]


def write(
    root: Path, table: list[dict[str, str]], *, columns=COLUMNS, suffix: str = ".wav"
) -> Path:
    (root / "metadata").mkdir()
    with (root / "metadata" / "UrbanSound8K.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    for row in rows():
        folder = root / "audio" / f"fold{row['fold']}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / row["slice_file_name"]).with_suffix(suffix).touch()
    return root


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_slices_are_found_in_the_folder_of_their_fold(tmp_path, suffix):
    data = UrbanSound8K(write(tmp_path, rows(), suffix=suffix))
    assert len(data) == 20
    last = data.clips[-1]
    assert last.path == tmp_path / "audio" / "fold10" / f"1008-8-0-0{suffix}"
    assert (last.label, last.target, last.fold, last.origin) == ("siren", 8, 10, "1008")


def test_folds_can_be_chosen_and_held_out(tmp_path):
    data = UrbanSound8K(write(tmp_path, rows()), folds=(1, 2, 10))
    train, test = data.split(10)
    assert ({c.fold for c in train}, {c.fold for c in test}) == ({1, 2}, {10})
    with pytest.raises(ConfigError, match="holding fold 3 out"):
        data.split(3)
    with pytest.raises(ConfigError, match="UrbanSound8K has the folds 1 to 10"):
        UrbanSound8K(tmp_path, folds=(11,))


def test_missing_table_says_what_is_expected(tmp_path):
    with pytest.raises(DatasetError, match=r"UrbanSound8K\.csv; expected .* audio/foldN/\*\.wav"):
        UrbanSound8K(tmp_path)


@pytest.mark.parametrize("column", ["slice_file_name", "fsID", "fold", "classID", "class"])
def test_missing_column_is_named(tmp_path, column):
    write(tmp_path, rows(), columns=[c for c in COLUMNS if c != column])
    with pytest.raises(DatasetError, match=f"no column {column}"):
        UrbanSound8K(tmp_path)


def test_slice_in_the_folder_of_another_fold_is_missing(tmp_path):
    write(tmp_path, rows())
    audio = tmp_path / "audio"
    (audio / "fold4" / "400-0-0-0.wav").rename(audio / "fold5" / "400-0-0-0.wav")
    with pytest.raises(DatasetError, match=r"1 of 20 clips are missing .* 400-0-0-0"):
        UrbanSound8K(tmp_path)
    assert len(UrbanSound8K(tmp_path, folds=(1, 10))) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fold": "11"}, "line 4: fold 11"),
        ({"fold": "one"}, "line 4: fold and classID must be integers"),
        ({"fold": "1_0"}, "line 4: fold and classID must be integers"),
        ({"classID": "10"}, "classID 10 is out of range"),
        ({"classID": "1"}, "classID 1 is car_horn, not air_conditioner"),
        ({"fsID": ""}, "a value is missing"),
        ({"slice_file_name": "../secret.wav"}, "not a plain file name"),
        ({"slice_file_name": "100-0-0-0.wav"}, r"lists 100-0-0-0\.wav more than once"),
    ],
)
def test_wrong_rows_are_refused_with_their_line(tmp_path, changes, message):
    table = rows()
    table[2] |= changes
    with pytest.raises(DatasetError, match=message):
        UrbanSound8K(write(tmp_path, table))


@pytest.mark.parametrize("index", [2, 3])
def test_recording_in_two_folds_is_a_leak_whatever_its_class(tmp_path, index):
    table = rows()
    table[index]["fsID"] = table[0]["fsID"]  # fold 2; the second is a siren
    data = UrbanSound8K(write(tmp_path, table))
    with pytest.raises(DatasetError, match=r"1 recordings are in fold 1 .* 100 "):
        data.split(1)
    assert len(data.split(3)[1]) == 2  # both on the same side: no leak
