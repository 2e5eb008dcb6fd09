"""Which files are taken for recordings, and what becomes of the others."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from soundsep.audio import AUDIO_SUFFIXES, find_recordings, passed_over


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_folder_is_searched_and_what_is_passed_over_is_counted(tmp_path):
    make(tmp_path, "b.WAV", "a/z.flac", "a/deep/er/y.Mp3", "c.wave")
    make(tmp_path, "notes.txt", "a/more.TXT", "pic.jpg", "README", ".DS_Store", "._b.WAV")
    make(
        tmp_path, "__MACOSX/._b.WAV", "__MACOSX/q.wav", ".Trashes/x.wav", ".Trash-1000/files/y.wav"
    )
    make(tmp_path, "$RECYCLE.BIN/z.wav", "take.2024-06-01T05:00:00")
    found = find_recordings(tmp_path)
    assert found.paths == [
        str(tmp_path / name) for name in ("a/deep/er/y.Mp3", "a/z.flac", "b.WAV", "c.wave")
    ]
    assert list(found.places.values()) == ["a/deep/er/y.Mp3", "a/z.flac", "b.WAV", "c.wave"]
    assert found.passed_over == {
        "hidden .wav": 6,
        "hidden": 1,
        ".txt": 2,
        ".jpg": 1,
        "without a suffix": 2,
    }
    assert passed_over(found.passed_over) == (
        "passed over: 6 hidden .wav, 2 .txt, 2 without a suffix, 1 .jpg, 1 hidden"
    )
    assert passed_over(Counter()) is None


def test_every_suffix_that_can_be_read_is_found_in_any_case(tmp_path):
    names = [f"{i}{case(s)}" for i, s in enumerate(AUDIO_SUFFIXES) for case in (str.upper, str)]
    found = find_recordings(make(tmp_path, *names))
    assert len(found.paths) == len(set(map(str.casefold, names))) or os.name != "nt"
    assert {".wave", ".bwf", ".rf64", ".mp2", ".mpga"} <= {Path(p).suffix for p in found.paths}
    assert not found.passed_over


def test_files_are_taken_as_they_are_and_once(tmp_path, monkeypatch):
    make(tmp_path, "a.wav", "notes.txt", "x[1].wav", "._b.wav")
    monkeypatch.chdir(tmp_path)
    found = find_recordings("notes.txt", "gone.wav", "a.wav", ".", "x[1].wav", "._b.wav")
    assert found.paths == ["notes.txt", "gone.wav", "a.wav", "x[1].wav", "._b.wav"]
    assert found.passed_over == {".txt": 1, "hidden .wav": 1}


def test_patterns_are_expanded_where_the_shell_does_not(tmp_path, monkeypatch):
    make(tmp_path, "card/1/a.wav", "card/2/b.WAV", "card/2/notes.txt", "card/__MACOSX/c.wav")
    make(tmp_path, "card/d.dat", ".local/e.wav")
    monkeypatch.chdir(tmp_path)
    found = find_recordings(Path("card/*/*"))
    assert list(map(Path, found.paths)) == [Path("card/1/a.wav"), Path("card/2/b.WAV")]
    assert list(map(Path, found.places.values())) == [Path("1/a.wav"), Path("2/b.WAV")]
    assert found.passed_over == {".txt": 1, "hidden .wav": 1}
    for pattern, n in (("card/*", 2), ("card/**", 2), ("card/**/*.wav", 1), ("*.wav", 1)):
        assert len(find_recordings(pattern).paths) == n, pattern
    assert find_recordings("card/*.dat").paths == [str(Path("card/d.dat"))]
    assert find_recordings(".local/*.wav").paths == [str(Path(".local/e.wav"))]
    assert find_recordings("none/*.wav").paths == ["none/*.wav"]


def test_a_folder_without_recordings_is_named(tmp_path):
    make(tmp_path, "a/x.wav", "b/notes.txt")
    found = find_recordings(tmp_path / "a", tmp_path / "b")
    assert found.empty == (str(tmp_path / "b"),)


def test_links_are_no_way_round_in_circles_and_no_way_to_vanish(tmp_path):
    make(tmp_path, "a/x.wav", "elsewhere/y.wav")
    try:
        (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "a" / "gone.wav").symlink_to(tmp_path / "nothing")
        (tmp_path / "a" / "y.wav").symlink_to(tmp_path / "elsewhere" / "y.wav")
    except OSError:
        pytest.skip("no symbolic links here")
    found = find_recordings(tmp_path / "a")
    assert list(found.places.values()) == ["x.wav", "y.wav"]
    assert found.passed_over == {"link to a folder": 1, ".wav (broken link or pipe)": 1}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="no folder is closed to root")
def test_a_folder_that_cannot_be_opened_is_counted(tmp_path):
    make(tmp_path, "a.wav", "closed/b.wav")
    (tmp_path / "closed").chmod(0)
    try:
        found = find_recordings(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert found.passed_over == {"folder that cannot be opened": 1}


def test_a_folder_whose_files_cannot_be_opened_is_one_that_cannot(tmp_path, monkeypatch):
    """As after ``chmod -R 644``: the names in it are told, and nothing else."""
    make(tmp_path, "a.wav", "listed/b.wav", "listed/c/d.wav")
    listed = str(tmp_path / "listed")
    monkeypatch.setattr(os, "access", lambda path, mode: path != listed)
    found = find_recordings(tmp_path)
    assert list(found.places.values()) == ["a.wav"]
    assert found.passed_over == {"folder that cannot be opened": 1}


def test_a_name_that_begins_with_a_tilde_is_never_a_home(tmp_path, monkeypatch):
    make(tmp_path, "~x.wav", "~root/a.wav")
    monkeypatch.chdir(tmp_path)
    assert find_recordings("./~x.wav").paths == ["./~x.wav"]
    found = find_recordings(".")
    assert found.paths == [f".{os.sep}~root{os.sep}a.wav", f".{os.sep}~x.wav"]
    assert find_recordings("./~root").paths == [f".{os.sep}~root{os.sep}a.wav"]


def test_names_of_any_bytes_and_of_control_characters_are_counted_safely(tmp_path):
    if os.name == "nt":
        pytest.skip("names of files are narrower there")
    make(tmp_path, "a.w\x1b[31m", os.fsdecode(b"b\xff.wav"))
    found = find_recordings(tmp_path)
    assert found.paths == [str(tmp_path / os.fsdecode(b"b\xff.wav"))]
    assert passed_over(found.passed_over) == "passed over: 1 .w\\x1b[31m"
