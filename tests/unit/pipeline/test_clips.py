from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundsep import AudioError, ConfigError, Event
from soundsep.audio import audio_blocks
from soundsep.cli.formats import EventLines
from soundsep.labels import AUDIOSET_LABELS, ESC50_LABELS, URBAN11_LABELS
from soundsep.pipeline import clip_files, cut_clips
from soundsep.pipeline.clips import BestEvents, label_folders, place_clips
from soundsep.pipeline.event_table import read_events

RATE = 48_000
not_on_windows = pytest.mark.skipif(os.name == "nt", reason="there are no such limits")


def recording(path: Path, subtype: str = "PCM_24", seconds: int = 10, n_channels: int = 2) -> Path:
    """Noise of all bits, full scale on both sides included."""
    samples = np.random.default_rng(0).integers(
        -(2**31), 2**31, (seconds * RATE, n_channels), dtype=np.int32
    )
    samples[::1000], samples[1::1000] = -(2**31), 2**31 - 1
    soundfile.write(path, samples, RATE, subtype)
    return path


def event(start: float, end: float, label: str = "dog", score: float = 0.5) -> Event:
    return Event(start, end, label, score)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_16"), ("wav", "PCM_24"), ("flac", "PCM_24"), ("flac", "PCM_16")],
)
def test_rate_channels_and_every_bit_are_kept(suffix, subtype, tmp_path):
    night = recording(tmp_path / f"night.{suffix}", subtype)
    (clip,) = cut_clips(night, [event(3.0, 4.5)], tmp_path / "clips", margin_seconds=0.25)
    assert clip == tmp_path / "clips" / "dog" / f"night_00h00m03.00s_dog_0.500.{suffix}"
    whole, _ = soundfile.read(night, dtype="int32")
    cut, rate = soundfile.read(clip, dtype="int32")
    assert rate == RATE
    assert np.array_equal(cut, whole[int(2.75 * RATE) : int(4.75 * RATE)])
    assert soundfile.info(clip).subtype == subtype


@pytest.mark.parametrize(("subtype", "kept"), [("FLOAT", "FLOAT"), ("DOUBLE", "FLOAT")])
def test_floats_stay_floats(subtype, kept, tmp_path):
    samples = np.random.default_rng(0).standard_normal(RATE * 3).astype(np.float32) * 2
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype)
    (clip,) = cut_clips(tmp_path / "a.wav", [event(1.0, 2.0)], tmp_path, margin_seconds=0)
    assert np.array_equal(soundfile.read(clip, dtype="float32")[0], samples[RATE : 2 * RATE])
    assert soundfile.info(clip).subtype == kept


def test_what_is_lossy_is_cut_to_wav(tmp_path):
    tone = 0.5 * np.sin(np.arange(RATE * 3) / 20)
    soundfile.write(tmp_path / "a.ogg", tone, RATE)
    (clip,) = cut_clips(tmp_path / "a.ogg", [event(1.0, 2.0)], tmp_path, margin_seconds=0)
    cut, _ = soundfile.read(clip)
    assert (clip.suffix, soundfile.info(clip).subtype) == (".wav", "PCM_16")
    assert np.abs(cut - soundfile.read(tmp_path / "a.ogg")[0][RATE : 2 * RATE]).max() < 2**-15


def test_margins_end_with_the_recording_and_events_overlap(tmp_path):
    night = recording(tmp_path / "night.wav", seconds=5)
    whole, _ = soundfile.read(night, dtype="int32")
    spans = [(0.5, 1.0), (0.0, 5.0), (4.5, 5.0), (0.75, 2.0)]
    clips = cut_clips(night, [event(*span) for span in spans], tmp_path / "c", margin_seconds=1.0)
    for clip, (start, end) in zip(clips, sorted(spans), strict=True):
        expected = whole[int(max(0, start - 1) * RATE) : int((end + 1) * RATE)]
        assert np.array_equal(soundfile.read(clip, dtype="int32")[0], expected)


def test_the_best_of_each_label(tmp_path):
    best = BestEvents(2)
    for number, score in enumerate((0.5, 0.9, 0.7, 0.9, 0.6)):
        best.add("b.wav" if number % 2 else "a.wav", event(number, number + 1, score=score))
    best.add("a.wav", event(9.0, 10.0, "cat", 0.1))
    kept = best.by_recording()
    assert [e.start_seconds for e in kept["b.wav"]] == [1, 3]
    assert [e.label for e in kept["a.wav"]] == ["cat"]
    everything = BestEvents()
    for start in (0.0, 1.0, 2.0):
        everything.add("a.wav", event(start, start + 1))
    assert len(everything.by_recording()["a.wav"]) == 3
    night = recording(tmp_path / "night.wav", seconds=3)
    events = [event(0.0, 1.0, score=0.6), event(1.0, 2.0, score=0.8)]
    (clip,) = cut_clips(night, events, tmp_path / "c", max_per_label=1)
    assert clip.name == "night_00h00m01.00s_dog_0.800.wav"


def test_a_file_that_exists_stays_unless_told_otherwise(tmp_path):
    night = recording(tmp_path / "night.wav", seconds=3)
    events = [event(0.0, 1.0), event(1.0, 2.0)]
    first, second = cut_clips(night, events, tmp_path / "c")
    whole = first.read_bytes()
    first.write_bytes(b"precious")
    second.unlink()
    cut_clips(night, events, tmp_path / "c")
    assert first.read_bytes() == b"precious"
    assert second.exists()
    cut_clips(night, events, tmp_path / "c", overwrite=True)
    assert first.read_bytes() == whole


def test_what_lasts_no_time_or_is_no_part_of_the_recording_has_no_file(tmp_path):
    night = recording(tmp_path / "night.wav", seconds=2)
    events = [event(0.5, 1.0), event(1.5, 1.5), event(7.0, 8.0)]
    clips = cut_clips(night, events, tmp_path / "c", margin_seconds=0)
    assert [clip.name for clip in clips] == ["night_00h00m00.50s_dog_0.500.wav"]
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {*clips, night}


HOSTILE = ["../../etc/passwd", "/etc/passwd", "..", "", "a\x00b", "con", "dog\n\x1b[31m", "x" * 300]


@pytest.mark.parametrize("label", HOSTILE)
def test_no_label_leads_out_of_the_folder(label, tmp_path):
    night = recording(tmp_path / "night.wav", seconds=2)
    (clip,) = cut_clips(night, [event(0.0, 1.0, label)], tmp_path / "c")
    assert clip.resolve().parent.parent == (tmp_path / "c").resolve()
    assert len(clip.name.encode()) < 250
    assert clip.name.isprintable()
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {clip, night}


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_recordings_of_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xef")
    folder.mkdir()
    night = recording(tmp_path / "a.wav", seconds=2)
    night = night.rename(folder / os.fsdecode(b'na\xefve "1"\n.wav'))
    (clip,) = cut_clips(night, [event(0.0, 1.0, "Hähne, früh")], folder / "c")
    assert clip.relative_to(folder / "c").as_posix() == (
        "Hähne_früh/na_ve_1_00h00m00.00s_Hähne_früh_0.500.wav"
    )


def test_no_two_clips_have_one_file():
    events = [event(1.0, 2.0, label) for label in ("a/b", "a-b", "c")]
    placed = place_clips({"x/night.wav": events, "y/Night.WAV": events}, "c")
    paths = [str(clip.path).casefold() for clips in placed.values() for clip in clips]
    assert len(set(paths)) == 6
    named = place_clips({"x/night.wav": events[:1]}, "c", names={"x/night.wav": "x/night"})
    assert named["x/night.wav"][0].path.name == "x_night_00h00m01.00s_a_b_0.500.wav"


@pytest.mark.parametrize("other", ["a;b", "a b", "A, B", "\uff41,b", "a,b?"])
def test_no_two_labels_share_a_folder(other, tmp_path):
    night = recording(tmp_path / "night.wav", seconds=3)
    events = [event(0.0, 1.0, "a,b"), event(1.0, 2.0, other)]
    with pytest.raises(ConfigError, match=r"'a,b' and .* would share the folder .*rename one"):
        cut_clips(night, events, tmp_path / "c")
    assert not (tmp_path / "c").exists()
    assert len(cut_clips(night, events[:1] * 2, tmp_path / "c")) == 2


@pytest.mark.parametrize("labels", [AUDIOSET_LABELS, ESC50_LABELS, URBAN11_LABELS])
def test_the_labels_of_published_models_have_folders(labels):
    assert len({name.casefold() for name in label_folders(labels).values()}) == len(labels)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_event_and_its_row_in_a_table_give_the_same_clips(kind, tmp_path):
    rng, table = np.random.default_rng(0), tmp_path / f"events.{kind}"
    starts = sorted(rng.uniform(0, 4000, 2000).tolist())
    events = [event(start, start + 1, score=float(rng.uniform(0.9, 0.95))) for start in starts]
    lines = EventLines(kind, high_hz=8_000.0, titles=False)
    rows = [*lines.head(), *(lines.line("a.wav", e) for e in events)]
    table.write_text("".join(f"{row}\n" for row in rows), "utf-8")

    def names(heard: Iterable[Event]) -> list[str]:
        best = BestEvents(1000)
        for e in heard:
            best.add("a.wav", e)
        return [clip.path.name for clip in place_clips(best.by_recording(), "c")["a.wav"]]

    assert names(found for _, found, _ in read_events(table)) == names(events)


def test_times_sort_and_round_without_60_seconds():
    placed = place_clips({"n.wav": [event(35_999.999, 36_001.0)]}, "c")
    assert placed["n.wav"][0].path.name == "n_10h00m00.00s_dog_0.500.wav"


@pytest.mark.parametrize("max_open", [1, 32])
def test_damage_ends_it_and_what_was_cut_before_is_kept(tmp_path, monkeypatch, max_open):
    """Also what was put off because too many clips were open."""
    monkeypatch.setattr(clip_files, "MAX_OPEN", max_open)
    night = recording(tmp_path / "night.wav", seconds=20, n_channels=1)
    night.write_bytes(night.read_bytes()[: RATE * 3 * 10])
    end = 0.0  # of what can be read
    with suppress(AudioError), audio_blocks(night, mono=False) as blocks:
        for block in blocks:
            end += block.shape[1] / RATE
    assert 3.6 < end < 10
    before, into = event(end - 1, end - 0.5), event(end - 1, end + 1)
    events = [event(1.0, 2.0), event(1.5, 2.5), event(1.6, 2.0), before, into]
    with pytest.raises(AudioError, match="truncated"):
        cut_clips(night, events, tmp_path / "c")
    clips = sorted((tmp_path / "c").rglob("*.*"))
    starts = [1.0, 1.5, 1.6, end - 1]
    assert [clip.name[:18] for clip in clips] == [f"night_00h00m{t:05.2f}s" for t in starts]
    lengths = [soundfile.info(clip).duration for clip in clips]
    assert lengths == pytest.approx([3.0, 3.0, 2.4, 2.0], abs=0.001)  # the last margin is cut
    with pytest.raises(AudioError, match="does not exist"):
        cut_clips("no.wav", events, tmp_path / "c")


def test_a_disk_that_cannot_be_written_says_so(tmp_path):
    night = recording(tmp_path / "night.wav", seconds=2)
    (tmp_path / "c").write_text("a file")
    with pytest.raises(ConfigError, match="cannot write"):
        cut_clips(night, [event(0.0, 1.0)], tmp_path / "c")
    for options in ({"margin_seconds": -1}, {"margin_seconds": 3601}, {"max_per_label": 0}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            cut_clips(night, [event(0.0, 1.0)], tmp_path / "d", **options)


@contextmanager
def limited(name: str, limit: int) -> Iterator[None]:
    """Like ``ulimit``."""
    import resource

    number = getattr(resource, name)
    soft, hard = resource.getrlimit(number)
    resource.setrlimit(number, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(number, (soft, hard))


@not_on_windows
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_clip_that_does_not_fit_to_the_last_byte_is_not_kept(suffix, tmp_path):
    """libsndfile takes the end of a FLAC file for written whatever becomes of it."""
    night = recording(tmp_path / f"night.{suffix}", "PCM_16", seconds=2)
    (whole,) = cut_clips(night, [event(0.0, 0.9)], tmp_path / "whole", margin_seconds=0)
    size = whole.stat().st_size
    for n_missing in (1, 100, 3_000, 30_000, size - 10):
        with (
            limited("RLIMIT_FSIZE", size - n_missing),
            pytest.raises(ConfigError, match=rf"cannot write .*\.{suffix}: File too large"),
        ):
            cut_clips(night, [event(0.0, 0.9)], tmp_path / "c", margin_seconds=0)
        assert not (tmp_path / "c").exists()


@not_on_windows
def test_more_clips_of_one_moment_than_files_may_be_open(tmp_path, monkeypatch):
    night = recording(tmp_path / "night.wav", seconds=4)
    events = [event(i / 100, 1 + i / 100) for i in range(200)]
    (tmp_path / "here").touch()
    n_open = os.open(tmp_path / "here", os.O_RDONLY)  # the lowest number that is free
    os.close(n_open)
    with limited("RLIMIT_NOFILE", n_open + 48):
        paths = cut_clips(night, events, tmp_path / "few")
    monkeypatch.setattr(clip_files, "MAX_OPEN", 1000)
    more = cut_clips(night, events, tmp_path / "many")
    assert [p.name for p in paths] == [p.name for p in more]
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in more]


def test_an_interrupt_in_the_middle_of_a_clip_is_not_lost(tmp_path, monkeypatch):
    night, n_left = recording(tmp_path / "night.flac", seconds=2), 3
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    write = clip_files.Written.write

    def interrupted(self, data: bytes) -> int:
        nonlocal n_left
        n_left -= 1
        if n_left == 0:
            signal.raise_signal(signal.SIGINT)
        return write(self, data)

    monkeypatch.setattr(clip_files.Written, "write", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            cut_clips(night, [event(0.0, 1.0)], tmp_path / "c")
    finally:
        signal.signal(signal.SIGINT, before)
    assert n_left <= 0
    assert not (tmp_path / "c").exists()
