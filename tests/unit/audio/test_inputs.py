from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from soundsep import AudioError, load_audio
from soundsep.audio.inputs import name_of, path_of, recordings_in
from soundsep.datasets import Clip


class Entry:
    """A path of another library."""

    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> str | bytes:
        return self.path


class Named(io.BytesIO):
    name = "a.wav"


@pytest.mark.parametrize(
    ("audio", "path"),
    [
        ("a.wav", "a.wav"),
        (np.str_("a.wav"), "a.wav"),
        (Path("a.wav"), "a.wav"),
        (Entry("a.wav"), "a.wav"),
        (Entry(b"a.wav"), "a.wav"),
        (Named(), "a.wav"),
        ({"path": Path("a.wav"), "array": np.zeros(1), "sampling_rate": 8_000}, "a.wav"),
        (io.BytesIO(), None),
        (b"", None),
        (torch.zeros(1), None),
    ],
)
def test_a_path_is_plain_text(audio, path):
    found = path_of(audio)
    assert found == path
    assert type(found) is type(path)
    assert name_of(audio) in (path, "the array", "the recording")


@pytest.mark.parametrize("path", [Entry("absent.wav"), Entry(b"absent.wav"), np.str_("absent.wav")])
def test_a_path_of_any_kind_is_named_by_errors(path):
    with pytest.raises(AudioError, match=r"^absent\.wav does not exist"):
        load_audio(path)


@pytest.mark.parametrize("sample", [0.5, 1, np.float32(0.5), np.int16(1)])
def test_a_sample_where_a_recording_is_expected_gets_a_hint(sample):
    with pytest.raises(AudioError, match=r"got \w+; samples come as one array: numpy\.asarray"):
        load_audio(sample)


def test_blocks_and_paths_in_archives_get_a_hint():
    with pytest.raises(AudioError, match=r"got generator; Pipeline\.stream takes"):
        load_audio(block for block in [np.zeros(1)])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.wav", b"")
    with pytest.raises(AudioError, match=r"got Path; pass what its open\('rb'\) gives"):
        load_audio(zipfile.Path(packed, "a.wav"))


def test_an_upload_that_is_awaited_gets_a_hint():
    class Upload:  # of Starlette, aiofiles and others
        async def read(self, size: int = -1) -> bytes:
            return b""

    with pytest.raises(AudioError, match=r"await upload\.read\(\)"):  # and no warning
        load_audio(Upload())


def test_a_clip_of_a_data_set_gets_a_hint():
    clip = Clip(path=Path("a.wav"), label="dog", target=0, fold=1, origin="1")
    with pytest.raises(AudioError, match="got Clip; pass its path"):
        load_audio(clip)


def test_a_table_gets_a_hint():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"path": ["a.wav", "b.wav"], "site": [1, 2]})
    with pytest.raises(AudioError, match=r"got a DataFrame .* such as table\['path'\]"):
        recordings_in(table)
    assert recordings_in(table["path"])[1:] == (True, False)
