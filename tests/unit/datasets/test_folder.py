from __future__ import annotations

import pytest

from soundsep.datasets import AudioFolder, Concatenation
from soundsep.datasets import origins as origins_module
from soundsep.errors import ConfigError, DatasetError


def make(root, *names: str):
    """Files that are never decoded; each holds other bytes."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def origins(data: AudioFolder) -> dict[str, str]:
    return {str(clip.path.relative_to(data.root)): clip.origin for clip in data}


def test_subfolders_are_classes_and_everything_else_is_passed_over(tmp_path):
    make(tmp_path, "dog/b.WAV", "dog/a.flac", "dog/deep/er/c.Ogg", "cat/a.wav", "cat/b.mp3")
    make(tmp_path, "dog/notes.txt", "dog/._a.wav", "dog/.trash/x.wav", ".git/x.wav", "README.md")
    data = AudioFolder(tmp_path)
    assert data.labels == ("cat", "dog")
    found = [(str(c.path.relative_to(tmp_path)), c.label, c.target, c.fold) for c in data]
    assert found == [
        ("cat/a.wav", "cat", 0, 0),
        ("cat/b.mp3", "cat", 0, 0),
        ("dog/a.flac", "dog", 1, 0),
        ("dog/b.WAV", "dog", 1, 0),
        ("dog/deep/er/c.Ogg", "dog", 1, 0),
    ]
    assert len(data) == 5
    assert [data[i] for i in range(5)] == [*data]
    assert data[-1].path.name == "c.Ogg"
    assert data[1:3] == data.clips[1:3]
    with pytest.raises(IndexError):
        data[5]
    assert data.notes == ()
    assert data.passed_over == {"hidden .wav": 3, ".md": 1, ".txt": 1}


@pytest.mark.parametrize("names", [("train", "val"), ("Test", "Training", "dev")])
def test_parts_of_a_split_are_no_classes(tmp_path, names):
    """A model would learn to tell them apart, and nothing would say so."""
    make(tmp_path, *(f"{name}/{label}/{i}.wav" for name in names for label in "ab" for i in "12"))
    with pytest.raises(DatasetError, match=r"are parts of a split, not classes.*[tT]rain") as error:
        AudioFolder(tmp_path)
    assert " and ".join(names) in str(error.value)
    learn, measure = {"train": ("train", "val"), "Test": ("Training", "Test")}[names[0]]
    hint = f"{tmp_path / learn} to learn from or {tmp_path / measure} to measure on"
    assert str(error.value).endswith(hint)  # whether `fit` asks or `evaluate`
    assert AudioFolder(tmp_path / names[0]).labels == ("a", "b")


def test_one_class_may_be_called_as_a_part_of_a_split(tmp_path):
    make(tmp_path, "train/1.wav", "train/2.wav", "tram/1.wav", "tram/2.wav")
    assert AudioFolder(tmp_path).labels == ("train", "tram")


@pytest.mark.parametrize("name", ["god\u202e", "a\u200bb", "\u3164", "x" * 201, "\x1b[31m"])
def test_a_class_whose_name_cannot_be_shown_is_refused(tmp_path, name):
    make(tmp_path, f"{name}/1.wav", f"{name}/2.wav", "b/1.wav", "b/2.wav")
    with pytest.raises(DatasetError, match="a class needs another name") as error:
        AudioFolder(tmp_path)
    assert str(error.value).isprintable()


def test_a_file_is_a_recording_of_its_own_unless_a_folder_says_otherwise(tmp_path):
    make(tmp_path, "a/1.wav", "a/2.wav", "b/1.wav", "b/r/1.wav", "b/r/deep/2.wav", "b/s/1.wav")
    found = origins(AudioFolder(tmp_path))
    assert found["b/r/1.wav"] == found["b/r/deep/2.wav"] == "r"
    assert len(set(found.values())) == 5


@pytest.mark.parametrize(
    ("group", "expected"), [(r"^\d+", {"12", "3"}), (r"-([A-Z])\.", {"A", "B"})]
)
def test_recordings_are_found_in_names(tmp_path, group, expected):
    make(tmp_path, "a/12-A.wav", "a/3-B.wav", "b/12-B.wav", "b/3-A.wav")
    assert set(origins(AudioFolder(tmp_path, group=group)).values()) == expected


@pytest.mark.parametrize("group", [r"^\d+", r"^(\d*)"])
def test_a_group_must_be_found_in_every_name(tmp_path, group):
    make(tmp_path, "a/12.wav", "a/3.wav", "b/1.wav", "b/x.wav")
    with pytest.raises(DatasetError, match=r"finds no recording in the name 'x\.wav'"):
        AudioFolder(tmp_path, group=group)


def test_a_group_must_be_a_regular_expression(tmp_path):
    with pytest.raises(ConfigError, match="not a regular expression"):
        AudioFolder(tmp_path, group="(")


def test_copies_belong_together_whatever_they_are_called(tmp_path):
    make(tmp_path, "a/1.wav", "a/2.wav", "a/3.wav", "b/1.wav", "b/2.wav", "b/r/3.wav")
    (tmp_path / "a/copy of 1.wav").write_bytes(b"a/1.wav")
    (tmp_path / "b/r/copy of 2.wav").write_bytes(b"b/2.wav")
    for name in "xy":
        (tmp_path / f"b/{name}.wav").touch()  # empty files are no copies of each other
    data = AudioFolder(tmp_path)
    found = origins(data)
    assert found["a/1.wav"] == found["a/copy of 1.wav"]
    assert found["b/2.wav"] == found["b/r/copy of 2.wav"] == found["b/r/3.wav"]
    assert len(set(found.values())) == 7
    assert data.notes == ()


def test_a_file_that_cannot_be_read_is_left_to_those_who_decode_it(tmp_path, monkeypatch):
    """As after ``chmod 000``; whether its size occurs twice does not matter."""
    make(tmp_path, "a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav")
    (tmp_path / "a/copy.wav").write_bytes(b"a/1.wav")
    digest = origins_module.file_digest

    def closed(path):
        if path == tmp_path / "b" / "2.wav":
            raise PermissionError(13, "Permission denied", str(path))
        return digest(path)

    monkeypatch.setattr(origins_module, "file_digest", closed)
    data = AudioFolder(tmp_path)
    assert len(data) == 5
    assert origins(data)["a/1.wav"] == origins(data)["a/copy.wav"]
    assert len(Concatenation([[clip] for clip in data])) == 5


def test_what_looks_like_a_mistake_is_noted(tmp_path):
    make(tmp_path, "a/1.wav", "a/2.wav", "b/1.wav", "loose.wav", "empty/notes.txt")
    (tmp_path / "b/2.wav").write_bytes(b"a/1.wav")
    notes = AudioFolder(tmp_path).notes
    assert notes[0] == "empty/ holds no audio and is not a class"
    assert notes[1] == "audio files outside of the subfolders, left out: 1"
    assert notes[2] == "the same bytes under several classes: a/1.wav and b/2.wav"
    assert len(notes) == 3


def test_classes_that_look_alike_are_noted(tmp_path):
    make(tmp_path, *(f"{c}/{n}.wav" for c in ("caf\u00e9", "cafe\u0301", "dog") for n in "12"))
    (note,) = AudioFolder(tmp_path).notes
    assert "differ only in case" in note


def test_links_that_lead_in_a_circle_do_no_harm(tmp_path):
    make(tmp_path, "a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav")
    try:
        (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    assert len(AudioFolder(tmp_path)) == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "expected a subfolder per class with its audio files, found none"),
        (("1.wav", "2.wav", "a/notes.txt"), "found 2 outside of any; if this folder is a class"),
        (("a/1.wav", "a/2.wav"), "found one class, 'a'"),
        (("a/1.wav", "a/2.wav", "b/1.wav"), r"at least 2 clips .* too few in b \(1\)"),
    ],
)
def test_too_little_is_an_error_that_says_what_to_do(tmp_path, names, message):
    with pytest.raises(DatasetError, match=message):
        AudioFolder(make(tmp_path, *names))


def test_a_missing_folder_is_an_error(tmp_path):
    make(tmp_path, "a.wav")
    for name, message in (("gone", "no folder .*gone"), ("a.wav", r"a\.wav is a file")):
        with pytest.raises(DatasetError, match=message):
            AudioFolder(tmp_path / name)


def test_augmented_copies_carry_the_id_of_their_source(tmp_path):
    make(tmp_path, "a/rex.wav", "a/rex_pitch+2.wav", "a/tom.wav", "b/ada.wav", "b/rex_noise.wav")
    found = origins(AudioFolder(tmp_path, group=r"^([^_.]+)"))
    assert found["a/rex.wav"] == found["a/rex_pitch+2.wav"] == found["b/rex_noise.wav"]
    assert len(set(found.values())) == 3
    data = Concatenation([AudioFolder(tmp_path, group=r"^([^_.]+)")], n_folds=2)
    assert len({c.fold for c in data if c.origin == "rex"}) == 1


def test_a_part_of_something_larger_may_hold_one_class(tmp_path):
    make(tmp_path, "conversation/1.wav")
    assert AudioFolder(tmp_path, partial=True).labels == ("conversation",)
    with pytest.raises(DatasetError, match="found one class"):
        AudioFolder(tmp_path)
    with pytest.raises(DatasetError, match="if this folder is a class"):
        AudioFolder(tmp_path / "conversation", partial=True)
    with pytest.raises(ConfigError, match="no folds: see Concatenation"):
        AudioFolder(tmp_path, partial=True).split(1)
