from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep.audio import load_audio
from soundsep.datasets import (
    Clip,
    Concatenation,
    Piece,
    find_near_duplicates,
    load_examples,
    pieces,
)
from soundsep.datasets.pieces import audio_keys, load_pieces, spread_pieces
from soundsep.errors import AudioError, DatasetError

RATE = 16_000


@pytest.fixture
def night(tmp_path) -> Path:
    """Ten seconds of noise, at another rate than that asked for."""
    path = tmp_path / "night.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal((220_500, 2)), 22_050)
    return path


def loaded(audio):
    return dict(load_pieces(audio, target_rate=RATE))


def test_a_piece_is_what_the_whole_has_in_its_place(night):
    whole = load_audio(night, target_rate=RATE)[0]
    wanted = [
        Piece(night, 3.0, 8.5),
        Piece(night, 0.0, 0.25),
        night,
        Piece(night, 3.00003, 3.1),
        Piece(night, 9.0),
        Piece(night, 9.5, 12.0),
    ]
    found = loaded([*wanted, wanted[0]])
    assert set(found) == set(wanted)
    assert torch.equal(found[wanted[0]], whole[48_000:136_000])
    assert torch.equal(found[wanted[1]], whole[:4_000])
    assert torch.equal(found[night], whole)
    assert torch.equal(found[wanted[3]], whole[48_000:49_600])
    assert torch.equal(found[wanted[4]], whole[144_000:])
    assert torch.equal(found[wanted[5]], whole[152_000:])  # a label may end a little late


def test_a_recording_is_read_once_and_no_further_than_needed(night, monkeypatch):
    opened, read = [], []
    blocks = pieces.audio_blocks

    @contextmanager
    def watched(path, **options):
        opened.append(path)
        with blocks(path, block_samples=4_096, **options) as found:
            yield (read.append(len(block)) or block for block in found)

    monkeypatch.setattr(pieces, "audio_blocks", watched)
    found = loaded([Piece(night, 1.0 + i / 10, 1.2 + i / 10) for i in range(10)])
    assert {len(waveform) for waveform in found.values()} == {3_200}
    assert opened == [night]
    assert 2.1 * RATE <= sum(read) < 2.6 * RATE


def test_what_is_wrong_costs_the_others_nothing(night, tmp_path):
    gone, late, good = tmp_path / "gone.wav", Piece(night, 10.5, 11.0), Piece(night, 1.0, 2.0)
    found = loaded([gone, Piece(gone, 1.0, 2.0), late, good])
    assert len(found[good]) == RATE
    assert isinstance(found[gone], AudioError)
    assert isinstance(found[Piece(gone, 1.0, 2.0)], AudioError)
    assert "no part of the recording, which ends at 10 s" in str(found[late])
    assert str(late) == f"{night} (10.5 s to 11 s)"


def test_pieces_before_the_damage_are_given(night):
    data = night.read_bytes()
    night.write_bytes(data[: len(data) // 2])
    found = loaded([Piece(night, 1.0, 2.0), Piece(night, 4.0, 6.0), Piece(night, 8.0, 9.0)])
    kinds = [type(waveform) for _, waveform in sorted(found.items())]
    assert kinds == [torch.Tensor, AudioError, AudioError]


def test_a_piece_too_long_for_memory_is_refused(night, monkeypatch):
    monkeypatch.setattr(pieces, "MAX_SAMPLES", 20_000)
    found = loaded([Piece(night, 0.0, 2.0), Piece(night, 1.0, 2.0)])
    assert "too long" in str(found[Piece(night, 0.0, 2.0)])
    assert len(found[Piece(night, 1.0, 2.0)]) == RATE


def test_keys_tell_bytes_and_times_apart(night, tmp_path):
    copy = tmp_path / "copy.wav"
    copy.write_bytes(night.read_bytes())
    key = audio_keys()
    assert key(night) == key(copy)
    assert key(Piece(night, 1.0, 2.0)) == key(Piece(copy, 1.0, 2.0))
    assert len({key(night), key(Piece(night, 1.0, 2.0)), key(Piece(night, 1.0, 2.5))}) == 3


def clip(night: Path, start: float = 0.0, end: float | None = None, label: str = "x") -> Clip:
    return Clip(
        path=night,
        label=label,
        target=0,
        fold=0,
        origin="night",
        start_seconds=start,
        end_seconds=end,
    )


def test_clips_are_pieces_wherever_data_sets_are_read(night, tmp_path):
    whole, part = clip(night), clip(night, 2.0, 4.0)
    assert whole.audio == night
    assert part.audio == Piece(night, 2.0, 4.0)
    for _ in range(2):  # the second time from the cache
        examples = load_examples([part, whole], sample_rate=RATE, cache=tmp_path, progress=False)
        assert [len(waveform) for waveform, _ in examples] == [32_000, 160_000]
    (pair,) = find_near_duplicates([whole], [part], progress=False)
    assert pair.offset_seconds == pytest.approx(-2.0, abs=0.01)


def test_pieces_of_one_file_are_no_doubles_but_the_same_piece_is(night):
    one, other = clip(night, 0.0, 1.0), clip(night, 2.0, 3.0)
    joined = Concatenation([[one], [other]], n_folds=2)
    assert len({c.fold for c in joined}) == 1  # one recording
    assert len(Concatenation([[one], [clip(night, 0.0, 1.0, "y")]], n_folds=2)) == 2
    with pytest.raises(DatasetError, match=r"night\.wav \(0 s to 1 s\) as x is in several parts"):
        Concatenation([[one], [one]], n_folds=2)


def test_pieces_of_a_long_recording_are_spread_over_it(night):
    assert spread_pieces(night, seconds=2.0, n_most=5) == [night]
    assert spread_pieces(night, seconds=2.0, n_most=3) == [
        Piece(night, 0.0, 2.0),
        Piece(night, 4.0, 6.0),
        Piece(night, 8.0, 10.0),
    ]
