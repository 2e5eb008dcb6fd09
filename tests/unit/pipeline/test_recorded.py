from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import soundfile

from soundsep import AudioError
from soundsep.audio import audio_blocks
from soundsep.pipeline import recorded_seconds, summarize

MAY_19, MAY_20 = (date(2024, 5, day) for day in (19, 20))
RATE = 8_000


def test_what_was_recorded_is_split_at_the_hour_and_at_midnight(tmp_path, monkeypatch):
    def record(name: str, seconds: int) -> str:
        soundfile.write(tmp_path / name, np.zeros(1_000 * seconds), 1_000)
        return str(tmp_path / name)

    paths = [
        record("20240519_225950.wav", 3_620),  # 10 s, an hour, and 10 s after midnight
        record("20240519_235000+0200.wav", 60),
        record("dog.wav", 60),
    ]
    (tmp_path / "20240519_000000.wav").write_bytes(b"no sound")
    seconds, strangers = recorded_seconds([*paths, str(tmp_path / "20240519_000000.wav")])
    assert seconds == {(MAY_19, 22): 10, (MAY_19, 23): 3_660, (MAY_20, 0): 10}
    assert [path.rpartition("/")[2] for path in strangers] == ["dog.wav", "20240519_000000.wav"]
    summary = summarize([], recorded=seconds)
    assert summary.recorded_hours()[23] == pytest.approx(3_660 / 3_600)
    told = str(summary).splitlines()[-1].split()
    assert told == ["recorded", "(h)", "0.003", "0.003", "1.0", "1.0"]  # ten seconds are not 0.0
    seconds, strangers = recorded_seconds(paths[:1], time_pattern="%Y%m%d")
    assert seconds == {(MAY_19, 0): 3_600, (MAY_19, 1): 20}
    monkeypatch.setattr("soundsep.pipeline.recorded.MAX_SECONDS", 3_600)
    assert recorded_seconds(paths[:1]) == ({}, paths[:1])  # the header claims what cannot be


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "flac", "ogg", "mp3"])
def test_a_truncated_recording_counts_as_far_as_it_is_heard(suffix, tmp_path):
    path = tmp_path / f"20240519_220000.{suffix}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * RATE)
    soundfile.write(path, noise, RATE)
    whole, _ = recorded_seconds([str(path)])
    assert whole == {(MAY_19, 22): pytest.approx(60, abs=0.2)}
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    heard = 0.0
    with audio_blocks(path) as blocks:
        try:
            for block in blocks:
                heard += len(block) / RATE
        except AudioError:
            pass
    assert recorded_seconds([str(path)]) == ({(MAY_19, 22): heard}, [])
    assert 10 < heard < 40
    path.write_bytes(path.read_bytes()[:20])
    assert recorded_seconds([str(path)]) == ({}, [str(path)])


def test_a_whole_recording_is_not_read(tmp_path, monkeypatch):
    def read(self: object) -> None:
        raise AssertionError("its header and its last sample are enough")

    monkeypatch.setattr("soundsep.audio.blocks.AudioBlocks.__next__", read)
    for suffix in ("wav", "flac", "ogg"):
        path = tmp_path / f"20240519_220000.{suffix}"
        soundfile.write(path, np.zeros(60 * RATE), RATE)
        assert recorded_seconds([str(path)]) == ({(MAY_19, 22): 60}, [])
