from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep.datasets import AudioTable, Clip, Piece
from soundsep.datasets.pieces import load_pieces
from soundsep.errors import AudioError, ConfigError, DatasetError

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
    found = [(c.path, c.label, c.target, c.fold, c.origin) for c in data]
    assert found[1] == (Path("data/sub/a2.wav"), "a", 0, 2, "y")
    training, test = data.split(2)
    assert [c.origin for c in training] == ["x", "z"]
    assert [c.origin for c in test] == ["y", "w"]
    table.write_text(ROWS.replace("a1.wav", str(tmp_path / "data" / "a1.wav")), encoding="utf-8")
    assert AudioTable("data/table.csv").clips[0].path == tmp_path / "data" / "a1.wav"


def test_without_the_optional_columns_every_file_is_a_recording(tmp_path):
    text = (
        '\ufefflabel , note, path\r\n a ,"x, y",a1.wav\r\na,?,sub/a2.wav\r\nb,,b1.wav\r\nb,,b2.wav'
    )
    data = AudioTable(write(tmp_path, text))
    assert [(c.label, c.fold) for c in data] == [("a", 0), ("a", 0), ("b", 0), ("b", 0)]
    assert len({c.origin for c in data}) == 4
    with pytest.raises(ConfigError, match="no folds: see Concatenation"):
        data.split(1)


def test_columns_that_are_nearly_known_are_not_ignored_in_silence(tmp_path):
    """Times under other names would leave whole files to learn, and `Group` a leak."""
    text = "path,label,start,end,Group\na1.wav,a,0,1,x\nsub/a2.wav,a,0,1,x\nb1.wav,b,0,1,y\n"
    table = write(tmp_path, text + "b2.wav,b,0,1,z\n")
    (note,) = AudioTable(table).notes
    assert "rename 'Group' to group, 'start' to start_seconds, 'end' to end_seconds" in note
    table.write_text(f"{text}b1.wav,b,3,4,y\n")
    with pytest.raises(DatasetError, match=r"listed more than once; .*rename .*'start' to start_s"):
        AudioTable(table)
    table.write_text(text.replace("start,end,Group", "start_seconds,end_seconds,end,notes"))
    with pytest.raises(DatasetError, match="at least 2 clips"):  # no b2.wav in it
        AudioTable(table)
    assert AudioTable(table, partial=True).notes == ()


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
    with pytest.raises(DatasetError, match="is in UTF-16"):
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


# Parts of recordings

TIMES = "path,start_seconds,end_seconds,label\n"


def write_night(root: Path, name: str = "night.wav", n_seconds: int = 20) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(list(name.encode())).standard_normal(n_seconds * 1_000)
    soundfile.write(root / name, 0.1 * samples, 1_000)
    return root / name


def test_sounds_of_one_recording_stay_together_by_themselves(tmp_path):
    write_night(tmp_path)
    write_night(tmp_path, "other.wav")
    table = tmp_path / "night.csv"
    table.write_text(
        f"{TIMES}night.wav,1,2.5,owl\nnight.wav,2,4,tit\nnight.wav,4,5,owl\nother.wav,0,1,tit\n"
    )
    data = AudioTable(table)
    spans = [(c.label, c.start_seconds, c.end_seconds, c.also) for c in data]
    assert spans == [
        ("owl", 1.0, 2.5, ("tit",)),
        ("tit", 2.0, 4.0, ("owl",)),
        ("owl", 4.0, 5.0, ()),  # it begins where the other ends
        ("tit", 0.0, 1.0, ()),
    ]
    assert [c.origin for c in data] == [str(tmp_path / "night.wav")] * 3 + [
        str(tmp_path / "other.wav")
    ]
    (tmp_path / "other.wav").write_bytes((tmp_path / "night.wav").read_bytes())
    copies = AudioTable(table)
    assert len({c.origin for c in copies}) == 1
    assert copies.notes == ("the same bytes under several classes: night.wav and other.wav",)


def test_a_file_is_searched_beside_the_table_and_then_from_where_one_is(tmp_path, monkeypatch):
    """As `soundsep events card/ -o out/night.csv` names it."""
    write_night(tmp_path / "card")
    (tmp_path / "out").mkdir()
    rows = f"{TIMES}card/night.wav,1,2,owl\ncard/night.wav,2,3,owl\ncard/night.wav,3,4,tit\n"
    rows += "card/night.wav,4,5,tit\n"
    table = tmp_path / "out" / "night.csv"
    table.write_text(rows)
    with pytest.raises(DatasetError, match=r"line 2: no file .*4 of 4 files .*working directory"):
        AudioTable(table)
    assert {c.path for c in AudioTable(table, recordings=tmp_path)} == {
        tmp_path / "card" / "night.wav"
    }
    monkeypatch.chdir(tmp_path)
    assert {c.path for c in AudioTable(table)} == {Path("card/night.wav")}
    beside = write_night(tmp_path / "out" / "card")
    assert {c.path for c in AudioTable(table)} == {beside}
    write_night(tmp_path / "card" / "b")
    beside.unlink()
    (tmp_path / "card" / "night.wav").rename(write_night(tmp_path / "card" / "a"))
    with pytest.raises(DatasetError, match=r"card/night.wav may be .*a.night.* or .*b.night"):
        AudioTable(table, recordings=tmp_path / "card")
    with pytest.raises(DatasetError, match=r"no folder or file .*gone"):
        AudioTable(table, recordings=tmp_path / "gone")


def test_recordings_of_one_name_are_told_apart_by_their_folders(tmp_path, monkeypatch):
    """As of two recorders that begin at the same time, on another disk a year later."""
    for folder in ("A", "B"):
        write_night(tmp_path / "disk" / "2024" / folder)
    rows = [f"card\\{folder}\\night.wav,{n},{n + 1},owl\n" for folder in "AB" for n in (1, 2)]
    table = tmp_path / "night.csv"
    table.write_text(TIMES + "".join(rows) + "card/a/NIGHT.wav,4,5,tit\ncard/a/NIGHT.wav,5,6,tit\n")
    data = AudioTable(table, recordings=tmp_path / "disk")
    assert [clip.path.parent.name for clip in data.clips] == ["A", "A", "B", "B", "A", "A"]
    tracks = [tmp_path / "labels" / folder / "night.txt" for folder in ("B", "A")]
    for track in tracks:  # as `soundsep events --format audacity` writes them
        track.parent.mkdir(parents=True)
        track.write_text("1\t2\towl\n2\t3\towl\n4\t5\ttit\n5\t6\ttit\n")
    data = AudioTable(*tracks, recordings=tmp_path / "disk")
    assert [clip.path.parent.name for clip in data.clips] == ["B"] * 4 + ["A"] * 4
    monkeypatch.chdir(tracks[0].parent)
    data = AudioTable("night.txt", recordings=tmp_path / "disk")
    assert [clip.path.parent.name for clip in data.clips] == ["B"] * 4
    shutil.copy("night.txt", tmp_path)
    of_both = rf"found {re.escape(str(tmp_path))}.*A.night\.wav and .*B.night\.wav"
    with pytest.raises(DatasetError, match=of_both):
        AudioTable(tmp_path / "night.txt", recordings=tmp_path / "disk")


def test_a_folder_that_cannot_be_searched_for_the_recording_is_named(tmp_path, monkeypatch):
    table = tmp_path / "night.txt"
    table.write_text("1\t2\towl\n2\t3\ttit\n")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DatasetError, match=rf"{tmp_path.name} cannot be opened: Permission denied"):
        AudioTable(table)


@pytest.mark.parametrize(
    "name", ["night.txt", "night.wav.txt", "NIGHT.Table.1.selections.txt", "night.selections.txt"]
)
def test_labels_without_a_recording_belong_to_the_one_of_their_name(tmp_path, name):
    recording = write_night(tmp_path)
    table = tmp_path / "labels" / name
    table.parent.mkdir()
    table.write_text("1\t2\towl\n2\t3\towl\n3\t4\ttit\n4\t5\ttit\n")
    with pytest.raises(DatasetError, match=r"does not tell its recording.*found none"):
        AudioTable(table)
    assert {c.path for c in AudioTable(table, recordings=tmp_path)} == {recording}
    table = table.rename(tmp_path / name)
    assert {c.path for c in AudioTable(table)} == {recording}
    if not name.startswith("night.wav"):
        write_night(tmp_path, "night.flac")
        with pytest.raises(DatasetError, match=r"found .*night\.flac and .*night\.wav"):
            AudioTable(table)
        other = write_night(tmp_path / "card")
        assert {c.path for c in AudioTable(table, recordings=tmp_path / "card")} == {other}


def test_the_recording_of_labels_can_be_given(tmp_path):
    recording = write_night(tmp_path)
    table = tmp_path / "Label Track.txt"
    table.write_text("1\t2\towl\n2\t3\towl\n3\t4\ttit\n4\t5\ttit\n")
    assert {c.path for c in AudioTable(table, recordings=recording)} == {recording}


def test_a_csv_beside_its_recording_need_not_name_it(tmp_path):
    recording = write_night(tmp_path)
    table = tmp_path / "night.csv"
    table.write_text("start_seconds,end_seconds,label\n1,2,a\n2,3,a\n3,4,b\n4,5,b\n")
    assert {c.path for c in AudioTable(table)} == {recording}


def test_several_tables_are_one_data_set(tmp_path):
    for name, label in (("a", "owl"), ("b", "tit")):
        write_night(tmp_path, f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(f"1\t2\t{label}\n2\t3\t{label}\n")
    data = AudioTable(tmp_path / "a.txt", tmp_path / "b.txt")
    assert (data.name, data.labels, len(data)) == ("a + b", ("owl", "tit"), 4)
    with pytest.raises(DatasetError, match=r"a.txt, line 1: .*a.wav from 1 s as owl is listed mor"):
        AudioTable(tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "a.txt")


def test_what_nobody_labelled_is_background(tmp_path):
    recording = write_night(tmp_path)
    table = tmp_path / "night.csv"
    table.write_text(
        f"{TIMES}night.wav,5,6,owl\nnight.wav,5.5,7,tit\nnight.wav,7.5,8,owl\nnight.wav,15,16,tit\n"
    )
    data = AudioTable(table)
    assert data.unlabelled(seconds=4) == (
        Piece(recording, 0.0, 4.0),
        Piece(recording, 4.0, 5.0),
        Piece(recording, 8.0, 12.0),
        Piece(recording, 12.0, 15.0),
        Piece(recording, 16.0, 20.0),
    )
    for wrong in ({"seconds": 0}, {"n_most": 0}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be"):
            data.unlabelled(**wrong)
    assert data.unlabelled(seconds=4, n_most=2) == (
        Piece(recording, 0.0, 4.0),
        Piece(recording, 8.0, 12.0),
    )
    table.write_text("path,label\nnight.wav,owl\n")
    assert AudioTable(table, partial=True).unlabelled() == ()


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_a_truncated_recording_has_background_as_far_as_it_is_heard(suffix, tmp_path):
    """Its header still states a minute, and that of an MP3 no length at all."""
    path = tmp_path / f"night.{suffix}"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal(60 * 16_000), 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    table = tmp_path / "t.csv"
    table.write_text(f"{TIMES}{path.name},5,6,owl\n{path.name},8,10,tit\n")
    parts = AudioTable(table, partial=True).unlabelled()
    assert parts[:2] == (Piece(path, 0.0, 5.0), Piece(path, 6.0, 8.0))
    assert parts[-1].end_seconds == pytest.approx(30, abs=0.5)
    for target_rate in (16_000, 44_100):
        for part, waveform in load_pieces(parts, target_rate=target_rate):
            length = part.end_seconds - part.start_seconds
            assert len(waveform) == pytest.approx(length * target_rate, abs=2)


def test_a_recording_that_one_line_labels_as_a_whole_is_not_even_read(tmp_path):
    (tmp_path / "night.wav").write_bytes(b"no sound")
    table = tmp_path / "t.csv"
    table.write_text("path,label\nnight.wav,owl\n")
    assert AudioTable(table, partial=True).unlabelled() == ()


def test_a_broken_recording_has_no_background_and_costs_the_others_none(tmp_path):
    recording = write_night(tmp_path, "night.wav", 20)
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    table = tmp_path / "t.csv"
    table.write_text(f"{TIMES}broken.wav,0,15,owl\nnight.wav,0,15,owl\n")
    data = AudioTable(table, partial=True)
    with pytest.raises(AudioError, match="broken"):
        data.unlabelled()
    assert data.unlabelled(errors="skip") == (Piece(recording, 15.0, 20.0),)


def test_no_background_lies_behind_the_end_of_its_recording(tmp_path):
    recording = write_night(tmp_path, "night.wav", 20)
    table = tmp_path / "t.csv"
    table.write_text(f"{TIMES}night.wav,0,15,owl\nnight.wav,24,25,tit\n")
    pieces = AudioTable(table, partial=True).unlabelled()
    assert pieces == (Piece(recording, 15.0, 20.0),)


# Concatenation


def clip(name: str, label: str, fold: int, origin: str | None = None) -> Clip:
    return Clip(path=Path(f"{name}.wav"), label=label, target=0, fold=fold, origin=origin or name)
