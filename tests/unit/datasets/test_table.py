"""Data sets in places that cannot be looked at, and tables in other encodings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soundsep.datasets import (
    ESC50,
    AudioFolder,
    AudioTable,
    UrbanSound8K,
    load_recordings,
    read_truth,
)
from soundsep.errors import DatasetError
from soundsep.pipeline import read_events


@pytest.mark.parametrize("kind", [ESC50, UrbanSound8K, AudioFolder, AudioTable])
def test_what_cannot_be_looked_at_is_an_error_of_ours(kind: Callable[..., Any], tmp_path: Path):
    """No permission does the same, but root has all of them."""
    with pytest.raises(DatasetError, match=r"x cannot be opened: File name too long"):
        kind(tmp_path / ("x" * 300))


def test_recordings_of_a_table_that_cannot_be_looked_at(tmp_path: Path):
    (tmp_path / "a.csv").write_text("path,label\na.wav,dog\nb.wav,cat\n")
    with pytest.raises(DatasetError, match="cannot be opened: File name too long"):
        AudioTable(tmp_path / "a.csv", recordings=tmp_path / ("x" * 300))


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def closed(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(DatasetError, match=rf"{tmp_path.name} cannot be opened: Permission denied"):
        AudioFolder(tmp_path)


@pytest.mark.parametrize("name", ["low", "low/garden"])
def test_a_class_that_cannot_be_listed_is_not_called_empty(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for file in ("low/1.wav", "low/2.wav", "low/garden/3.wav", "high/1.wav", "high/2.wav"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file)
    (tmp_path / ".trash").mkdir()
    closed = [str(tmp_path / name), str(tmp_path / ".trash")]  # of what is hidden nothing is wanted
    scandir = os.scandir

    def listed(path: str) -> Any:
        if os.fspath(path) in closed:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listed)
    with pytest.raises(DatasetError, match=rf"{name} cannot be opened: Permission denied"):
        AudioFolder(tmp_path)
    monkeypatch.setattr(os, "scandir", scandir)
    assert len(AudioFolder(tmp_path)) == 5


@pytest.mark.parametrize("table", ["clips.csv", "night.txt"])
def test_a_folder_that_a_table_could_not_be_searched_in_is_named(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "clips.csv").write_text("path,label\na.wav,dog\nb.wav,cat\n")
    (tmp_path / "night.txt").write_text("1\t2\towl\n2\t3\ttit\n")
    disk = tmp_path / "disk"
    (disk / "closed").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "closed/night.wav"):
        (disk / name).write_text(name)
    scandir = os.scandir

    def listed(path: str) -> Any:
        if path == str(disk / "closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listed)
    data = AudioTable(tmp_path / "clips.csv", recordings=disk, partial=True)
    assert len(data) == 2  # all that it names is elsewhere
    (disk / "b.wav").rename(disk / "closed" / "b.wav")
    expected = r"(no file|found none).*; the folder .*closed cannot be opened: Permission denied$"
    with pytest.raises(DatasetError, match=expected):
        AudioTable(tmp_path / table, recordings=disk, partial=True)


def test_backgrounds_that_cannot_be_listed_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def closed(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", closed)
    message = r"no recordings in .* \(passed over: 1 folder that cannot be opened\)"
    with pytest.raises(DatasetError, match=message):
        load_recordings(tmp_path, sample_rate=16_000)


@pytest.mark.parametrize("kind", [ESC50, AudioTable])
def test_clips_that_cannot_be_looked_at_are_not_called_missing(
    kind: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "meta").mkdir()
    header = "filename,fold,target,category,esc10,src_file,take"
    rows = f"{header}\n1-1-A-0.wav,1,0,dog,True,1,A\n"
    (tmp_path / "meta" / "esc50.csv").write_text(rows)
    (tmp_path / "clips.csv").write_text("path,label\naudio/1-1-A-0.wav,dog\n")
    look = Path.stat

    def closed(self: Path, **options: Any) -> os.stat_result:
        if self.parent.name == "audio":
            raise PermissionError(13, "Permission denied", str(self))
        return look(self, **options)

    monkeypatch.setattr(Path, "stat", closed)
    given = tmp_path / "clips.csv" if kind is AudioTable else tmp_path
    with pytest.raises(DatasetError, match=r"1-1-A-0\.wav cannot be opened: Permission denied"):
        kind(given)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.csv", AudioTable),
        ("a.txt", AudioTable),  # what Excel calls Unicode text has this suffix
        ("meta/esc50.csv", lambda path: ESC50(path.parents[1])),
        ("a.csv", lambda path: list(read_events(path))),
        ("a.jsonl", lambda path: list(read_events(path))),
        ("a.csv", read_truth),
        ("a.txt", read_truth),
        ("a.jams", read_truth),
    ],
)
def test_a_table_in_utf_16_is_refused_with_how_to_save_it(
    name: str, read: Callable[[Path], object], encoding: str, tmp_path: Path
):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    text = "path,label,start_seconds,end_seconds\nsir\xe8ne.wav,sir\xe8ne,1,2\n"
    path.write_bytes(f"\ufeff{text}".encode(encoding))
    with pytest.raises(
        DatasetError, match=r'is in UTF-16.*; save it in UTF-8 \(Excel: "CSV UTF-8"'
    ):
        read(path)


def test_a_table_in_an_old_encoding_is_refused_with_how_to_save_it(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("path,label\na.wav,sir\xe8ne\n".encode("cp1252"))
    with pytest.raises(DatasetError, match=r"a\.csv is not text in UTF-8; save it in UTF-8"):
        AudioTable(tmp_path / "a.csv")
