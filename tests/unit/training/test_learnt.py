from __future__ import annotations

import json
from pathlib import Path

from soundsep.datasets import Clip
from soundsep.training import learnt, learnt_clips


def clip(path: Path, start: float) -> Clip:
    return Clip(
        path=path,
        label="owl",
        target=0,
        fold=0,
        origin=path.name,
        start_seconds=start,
        end_seconds=start + 1,
    )


def test_a_recording_is_read_once_for_all_its_clips(tmp_path, monkeypatch):
    known, other = tmp_path / "known.wav", tmp_path / "other.wav"
    known.write_bytes(b"known")
    other.write_bytes(b"other")
    content = {"learnt": " ".join(learnt.file_marks([known]))}
    (tmp_path / learnt.REPORT_NAME).write_text(json.dumps(content))
    read = []

    def digest(path: Path) -> str:
        read.append(path)
        return original(path)

    original = learnt.audio_digest
    monkeypatch.setattr(learnt, "audio_digest", digest)
    clips = [clip(path, float(start)) for start in range(50) for path in (known, other)]
    assert learnt_clips(tmp_path, clips) == clips[::2]
    assert sorted(read) == [known, other]


def test_a_clip_that_cannot_be_opened_costs_the_others_nothing(tmp_path):
    """Whoever measures the clips leaves it out, or says what is wrong with it."""
    known = tmp_path / "known.wav"
    known.write_bytes(b"known")
    content = {"learnt": " ".join(learnt.file_marks([known]))}
    (tmp_path / learnt.REPORT_NAME).write_text(json.dumps(content))
    clips = [clip(tmp_path / "gone.wav", 0.0), clip(known, 0.0)]
    assert learnt_clips(tmp_path, clips) == clips[1:]
