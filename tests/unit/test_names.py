from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from soundsep import ClassifierConfig, SeparatorConfig
from soundsep.audio import load_audio
from soundsep.datasets import AudioTable
from soundsep.errors import AudioError, ConfigError, DatasetError
from soundsep.labels import ESC50_LABELS
from soundsep.names import (
    label_fault,
    local_path,
    look_alikes,
    meant,
    path_text,
    printable,
    safe_name,
    same_looking,
    unknown_labels,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sirène 1.wav", "sirène 1.wav"),
        ("夜　鳥.wav", "夜　鳥.wav"),
        ("a\x1b]0;x\x07.wav", "a\\x1b]0;x\\x07.wav"),
        ("a\nb\tc\r.wav", "a\\nb\\tc\\r.wav"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202egpj.wav", "a\\u202egpj.wav"),
        ("a\u200b\ufeff\u2028.wav", "a\\u200b\\ufeff\\u2028.wav"),
        ("na\udcefve.wav", "na\\udcefve.wav"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown


def test_some_can_be_kept():
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"


@pytest.mark.parametrize(
    "label", ["dog", "Chopping (food)", "Türklingel", "犬の鳴き声", "नदी", "🐦", "?", "x" * 200]
)
def test_labels_of_people_pass(label):
    assert label_fault(label) is None
    assert ClassifierConfig(labels=(label,), network="cnn4").labels == (label,)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "  ",
        "\u00a0",
        "\u0301",
        "god\u202e",
        "\u2066dog\u2069",
        "do\u200bg",
        "\ufeffdog",
        "\u00ad",
        "\u2800",
        "\u3164",
        "\x1b[31m",
        "a\nb",
        " dog",
        "dog ",
        "\u3000犬",
        "\u2028",
        "\ud800",
        "x" * 201,
        "x" * 500_000,
    ],
)
def test_labels_that_cannot_be_shown_are_refused(label):
    with pytest.raises(ConfigError, match=r"ClassifierConfig\.labels: '") as error:
        ClassifierConfig(labels=("dog", label), network="cnn4")
    assert len(str(error.value)) < 1_000
    with pytest.raises(ConfigError, match=r"SeparatorConfig\.sources"):
        SeparatorConfig(sources=("a", label), sample_rate=8_000, n_channels=1, segment_seconds=1.0)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home folder with a recording, and a working folder beside it."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "home" / "a.wav").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_only_where_no_such_name_exists(home):
    assert local_path("~/a.wav") == local_path(Path("~/a.wav")) == home / "a.wav"
    for name in ("~x.wav", "~root/a.wav", "~"):
        assert local_path(f"./{name}") == local_path(Path(f"./{name}")) or name == "~"
        assert local_path(Path("~root/a.wav")) == Path("~root/a.wav")
    Path("~").mkdir()
    Path("~/a.wav").touch()
    Path("~x.wav").touch()
    assert local_path("~/a.wav") == Path("~/a.wav")
    assert local_path("~x.wav") == local_path(Path("./~x.wav")) == Path("~x.wav")


def test_a_home_that_does_not_exist_is_an_error_that_says_so(home):
    with pytest.raises(ConfigError, match="~nobody-here"):
        local_path("~nobody-here/a.wav")
    with pytest.raises(AudioError, match="~nobody-here"):
        load_audio("~nobody-here/a.wav")
    with pytest.raises(AudioError, match=r"~root/a\.wav does not exist"):
        load_audio("./~root/a.wav")


@pytest.mark.skipif(os.name == "nt", reason="names of files are narrower there")
def test_errors_show_names_escaped(tmp_path):
    odd = tmp_path / "a\x1b[31m\n.wav"
    for is_there in (False, True):
        if is_there:
            odd.write_bytes(b"no sound")
        with pytest.raises(AudioError, match=r"a\\x1b\[31m\\n\.wav") as error:
            load_audio(odd)
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("bird", "chirping_birds"), ("Bells", "church_bells"), ("knock", "door_wood_knock")],
)
def test_a_word_of_a_label_finds_it(asked, meant):
    told = unknown_labels([asked], ESC50_LABELS)
    assert told == f"the model knows no label {asked!r}, did you mean {meant!r}?"


@pytest.mark.parametrize("asked", ["whale", "door", "s", ""])
def test_a_label_that_is_like_none_or_several_lists_all(asked):
    told = unknown_labels([asked], ESC50_LABELS)
    assert told == f"the model knows no label {asked!r}; it knows {'; '.join(ESC50_LABELS)}"


def test_many_labels_are_not_all_listed():
    told = unknown_labels([f"whale {i}" for i in range(7)], [f"Sound, {i}" for i in range(527)])
    assert "'whale 4' and 2 more; it knows Sound, 0; Sound, 1;" in told
    assert told.endswith(" and 467 more: `soundsep models NAME` lists them")


@pytest.mark.parametrize("path", ["a.wav", b"a.wav", Path("a.wav"), np.str_("a.wav")])
def test_a_path_as_text_is_a_plain_string(path):
    assert type(path_text(path)) is str
    assert path_text(path) == "a.wav"


def test_a_name_that_is_there_is_meant_whatever_looks_like_it():
    assert meant("Dog", ["dog", "Dog"]) == "Dog"
    assert meant("DOG", ["dog", "Dog"]) == "DOG"  # either could be meant
    assert meant("cafe\u0301 door", ["CAF\u00c9_Door", "cafe door"]) == "CAF\u00c9_Door"


def test_names_that_look_alike_are_told_in_pairs_and_one_name_twice_is_none():
    names = ["Door Knock", "cat", "door_knock", "DOOR-KNOCK", "cat", "\uff43at"]
    assert look_alikes(names) == [
        ("Door Knock", "door_knock"),
        ("Door Knock", "DOOR-KNOCK"),
        ("cat", "\uff43at"),
    ]


@pytest.mark.parametrize(("n_unknown", "more"), [(5, ""), (6, " and 1 more")])
@pytest.mark.parametrize(("n_known", "others"), [(60, ""), (61, " and 1 more: ")])
def test_many_unknown_labels_and_many_known_ones_are_counted(n_unknown, more, n_known, others):
    unknown = [f"?{i}" for i in range(n_unknown)]
    told = unknown_labels(unknown, [f"class {i}" for i in range(n_known)])
    assert "'?4'" in told
    assert "'?5'" not in told
    assert f"{more}; it knows class 0; " in told
    assert told.count(others) == 1 if others else "models NAME" not in told
    assert "class 59" in told
    assert "class 60" not in told


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NUL", "_NUL"),
        ("com1.wav", "_com1.wav"),
        ("COM\u00b9", "_COM\u00b9"),
        ("com10", "com10"),
        ("console", "console"),
        ("a/b\\c:d*e", "a_b_c_d_e"),
        ("..hidden. ", "hidden"),
        ("a\x00\u202eb", "a_b"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0928\u0926\u0940", "\u0928\u0926\u0940"),
        ("", "_"),
        ("x" * 101, "x" * 100),
        ("\u65e5" * 34, "\u65e5" * 33),  # of three bytes each, and none is cut in two
    ],
)
def test_a_safe_name_is_one_on_every_system(text, name):
    assert safe_name(text) == name


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("r\u00eave.wav", "re\u0302ve.wav"),
        ("re\u0302ve.wav", "r\u00eave.wav"),
        ("a.WAV", "a.wav"),
        ("A1.wav", "A1.WAV"),
        ("Yard.wav", "yard.wav"),
        ("yard.wav", "YARD.WAV"),
    ],
)
def test_a_missing_file_names_one_that_looks_like_it(tmp_path, asked, there):
    (tmp_path / there).write_bytes(b"")
    if (tmp_path / asked).exists():
        pytest.skip("to this system both names are the same")
    assert same_looking(tmp_path / asked).startswith(f"{there!a}, which differs in case")
    with pytest.raises(AudioError, match=r"does not exist; .*; its folder has ") as told:
        load_audio(tmp_path / asked)
    assert ascii(there) in str(told.value)
    (tmp_path / "table.csv").write_text(f"path,label\n{asked},a\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="its folder has ") as told:
        AudioTable(tmp_path / "table.csv")
    assert ascii(there) in str(told.value)


@pytest.mark.parametrize("asked", ["other.wav", "no/a.wav", "a\0b.wav", "", ".", "/"])
def test_a_missing_file_that_is_like_none_has_no_hint(tmp_path, asked):
    (tmp_path / "a.wav").write_bytes(b"")
    assert same_looking(tmp_path / asked) == ""
