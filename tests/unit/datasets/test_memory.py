from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch

from soundsep.datasets import Clip, load_examples, load_recordings, pieces
from soundsep.errors import AudioError, ConfigError, DatasetError


@pytest.fixture
def clips(tmp_path) -> list[Clip]:
    found = []
    for i in range(3):
        path = tmp_path / "clips" / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        samples = 0.1 * np.random.default_rng(i).standard_normal((8_000, 2))
        soundfile.write(path, samples, 16_000)
        found.append(Clip(path=path, label="x", target=i, fold=1, origin=str(i)))
    return found


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the files that have been decoded."""
    names = []
    load = pieces.load_audio
    monkeypatch.setattr(
        pieces, "load_audio", lambda path, **k: names.append(path.name) or load(path, **k)
    )
    return names


def load(clips, rate=8_000, **options):
    return load_examples(clips, sample_rate=rate, progress=False, **options)


def same(a, b) -> bool:
    return all(torch.equal(x, y) and s == t for (x, s), (y, t) in zip(a, b, strict=True))


def test_what_was_kept_is_not_decoded_again(clips, tmp_path, decoded):
    plain = load(clips)
    first = load(clips, cache=tmp_path / "cache")
    del decoded[:]
    second = load(clips, cache=tmp_path / "cache")
    assert decoded == []
    assert [(x.shape, x.dtype, t) for x, t in second] == [
        ((4_000,), torch.float32, t) for t in range(3)
    ]
    assert same(plain, first)
    assert same(plain, second)
    second[0][0].zero_()  # it is the caller's own
    assert same(plain, load(clips, cache=tmp_path / "cache"))


def test_another_rate_or_other_bytes_are_decoded(clips, tmp_path, decoded):
    load(clips, cache=tmp_path)
    assert load(clips, 16_000, cache=tmp_path)[0][0].shape == (8_000,)
    del decoded[:]
    soundfile.write(clips[1].path, np.full(100, 0.5), 8_000)
    assert load(clips, cache=tmp_path)[1][0].shape == (100,)
    assert decoded == ["1.wav"]


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other"])
def test_what_is_damaged_is_made_again(clips, tmp_path, decoded, damage):
    expected = load(clips, cache=tmp_path / "cache")
    entries = sorted((tmp_path / "cache").rglob("*.npy"))
    data = bytearray(entries[0].read_bytes())
    data[len(data) // 2] ^= damage == "bit"
    other = entries[1].read_bytes()[:-1]
    changed = {"cut": data[:-1], "bit": data, "empty": b"", "other": other}[damage]
    entries[0].write_bytes(changed)
    del decoded[:]
    assert same(expected, load(clips, cache=tmp_path / "cache"))
    assert len(decoded) == 1
    assert same(expected, load(clips, cache=tmp_path / "cache"))
    assert len(decoded) == 1
    assert len(entries) == len([p for p in (tmp_path / "cache").rglob("*") if p.is_file()])


def test_a_folder_that_cannot_be_written_is_done_without(clips, tmp_path):
    (tmp_path / "file").touch()
    assert same(load(clips), load(clips, cache=tmp_path / "file"))


def test_a_missing_clip_is_an_error_with_and_without_cache(clips, tmp_path):
    clips[0].path.unlink()
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(AudioError, match=r"0\.wav"):
            load(clips, cache=cache)


@pytest.mark.parametrize("is_cached", [False, True])
def test_one_error_names_all_clips_that_cannot_be_read(clips, tmp_path, is_cached):
    clips[0].path.unlink()
    clips[2].path.write_text("no recording")
    with pytest.raises(AudioError, match=r"2 of 3 clips .*0\.wav .*; .*2\.wav ") as error:
        load(clips, cache=tmp_path / "cache" if is_cached else None)
    assert "1.wav" not in str(error.value)


def test_one_error_counts_all_recordings_that_cannot_be_read_and_names_the_first(tmp_path):
    soundfile.write(tmp_path / "good.wav", np.full(8_000, 0.1), 8_000)
    for i in range(8):
        (tmp_path / f"{i}.wav").write_text("no recording")
    with pytest.raises(AudioError, match=r"^8 of 9 recordings .*; and 3 more$") as error:
        load_recordings(tmp_path, sample_rate=8_000)
    assert all(f"{i}.wav" in str(error.value) for i in range(5))


def test_recordings_without_labels_whole_and_in_pieces(tmp_path):
    for name, seconds in (("a.wav", 2.3), ("b.wav", 0.2), ("c.wav", 2.6)):
        soundfile.write(tmp_path / name, np.full(round(seconds * 8_000), 0.1), 8_000)
    whole = load_recordings(tmp_path, sample_rate=8_000)
    assert [len(waveform) for waveform in whole] == [18_400, 1_600, 20_800]
    pieces = load_recordings(tmp_path, sample_rate=8_000, piece_seconds=1.0)
    # A rest below half a second is left out, but not what is short as a whole.
    assert [len(piece) for piece in pieces] == [8_000, 8_000, 1_600, 8_000, 8_000, 4_800]
    short = load_recordings(tmp_path, sample_rate=8_000, piece_seconds=0.25)
    assert [len(piece) for piece in short] == [2_000] * 9 + [1_600] + [2_000] * 10
    for wrong in (0.0, -1.0, math.nan, "1"):
        with pytest.raises(ConfigError, match="piece_seconds"):
            load_recordings(tmp_path, sample_rate=8_000, piece_seconds=wrong)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no recordings in"):
        load_recordings(tmp_path / "empty", sample_rate=8_000)
