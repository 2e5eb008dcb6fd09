from __future__ import annotations

import pytest

from soundsep.datasets import AudioFolder
from soundsep.datasets.slices import recording_in_name


@pytest.mark.parametrize(
    ("stem", "recording"),
    [
        ("20240519_033000_00h03m12.50s_bee_0.912", "20240519_033000"),
        ("20240519_033000_00h03m12.50s_bee_0.912_2", "20240519_033000"),
        ("0.912_3_SITE1_20240519_12.0s_15.0s", "SITE1_20240519"),
        ("SITE1_12.0-15.0s", "SITE1"),
        ("5-9032-A-0", "9032"),
        ("100032-3-0-12", "100032"),
        ("garden_1", "garden"),
        ("garden-02", "garden"),
        ("Garden (3)", "Garden"),
        ("20240519_033000_4", "20240519_033000"),
        ("240519-2", "240519"),  # a date without the century
        ("24051-2", None),
        ("bee_1", None),
        ("Bees 12", None),
        ("honey bee-3", None),
        ("REC_001", None),
        ("new recording 7", None),
        ("20240519_033000", None),  # a time is no count
        ("REC_0001", None),
        ("garden", None),
        ("7", None),
    ],
)
def test_a_name_tells_the_recording_only_where_it_counts_parts(stem, recording):
    assert recording_in_name(stem, "bee") == recording
    assert recording_in_name(stem, "BEE") == recording


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())


def test_five_slices_of_one_recording_are_one_recording(tmp_path):
    write(tmp_path, *(f"bee/garden_{i}.wav" for i in range(5)))
    write(tmp_path, *(f"fly/fly_{i}.wav" for i in range(3)), "fly/garden_9.wav")
    data = AudioFolder(tmp_path)
    assert [clip.origin for clip in data] == [
        *["garden"] * 5,
        *(f"fly/fly_{i}.wav" for i in range(3)),
        "garden",
    ]
    (note,) = data.notes
    assert (
        "6 files were taken for parts of 1 recording, such as bee/garden_0.wav and bee/gar" in note
    )
    alone = AudioFolder(tmp_path, group=".*")
    assert len({clip.origin for clip in alone}) == 9
    assert alone.notes == ()


def test_files_with_the_names_that_a_phone_gives_in_every_class_can_be_recordings_of_their_own(
    tmp_path,
):
    write(tmp_path, *(f"{label}/Voice note {i}.wav" for label in ("bee", "fly") for i in (1, 2)))
    (tmp_path / "fly" / "Voice note 1.wav").write_bytes(b"other bytes")
    (tmp_path / "fly" / "Voice note 2.wav").write_bytes(b"and others")
    assert "4 files were taken for parts of 1 recording" in AudioFolder(tmp_path).notes[0]
    assert len({clip.origin for clip in AudioFolder(tmp_path, group=".*")}) == 4
