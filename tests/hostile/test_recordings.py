"""Broken recordings: read or refused, and nothing else."""

from __future__ import annotations

import sys

import pytest

from soundsep import AudioError, load_audio
from soundsep.audio.contents import HEAD_BYTES, contents_of

pytest.importorskip("av")
from by_ffmpeg import compare, demuxer_of, heard_by_ffmpeg
from corpus import KINDS, case, sound

from fuzz_audio import RESULTS, Counts, fuzz

BY_FFMPEG = ("mp4", "webm", "wma", "aac", "ac3", "amr", "wv", "avi")
SOUND = [(container, subtype) for variants in KINDS.values() for container, subtype in variants]
# FFmpeg reads none of these, or takes their bits in another order.
NOT_BY_FFMPEG = {"HTK", "MAT4", "MAT5", "MPC2K", "G721_32", "NMS_ADPCM_16"}
# Sound as they are, they are refused: no length is stated, or libsndfile prints while it reads.
REFUSED = {"IRCAM": "IRCAM", "PAF": "PAF", "PVF": "PVF", "XI": "XI", "SDS": "MIDI sample dump"}


@pytest.mark.parametrize("variant", [0, 1])
@pytest.mark.parametrize(("container", "subtype"), SOUND)
def test_what_is_heard_is_what_ffmpeg_hears(container, subtype, variant):
    if container in REFUSED:
        pytest.skip("refused")
    if NOT_BY_FFMPEG & {container, subtype}:
        pytest.skip("FFmpeg has no opinion")
    if (container, subtype, variant) == ("AIFF", "GSM610", 1):
        pytest.skip("FFmpeg refuses the rest of a block")
    data = sound(container, subtype, variant)
    theirs = heard_by_ffmpeg(data, demuxer_of(container, subtype))
    assert theirs is not None
    waveform, rate = load_audio(data, mono=False)
    assert compare(waveform.numpy().T, rate, *theirs, subtype) == "same"


@pytest.mark.parametrize("variant", [0, 1])
@pytest.mark.parametrize("container", REFUSED)
def test_formats_that_are_refused_are_named_and_not_taken_over_by_ffmpeg(container, variant):
    subtype = next(subtype for of, subtype in SOUND if of == container)
    data = sound(container, subtype, variant)
    with pytest.raises(AudioError, match=REFUSED[container]):
        load_audio(data)
    assert contents_of(data[:HEAD_BYTES]) is None


def test_opus_that_libsndfile_fills_with_stray_memory_is_refused():
    """Junk in its only page makes packets longer, and what libsndfile gave differed by the run."""
    with pytest.raises(AudioError, match="more samples than its pages state"):
        load_audio(case(0, 1947).data)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize(
    ("seed", "n_files"), [(0, 2_000), pytest.param(1, 20_000, marks=pytest.mark.slow)]
)
def test_broken_recordings_are_read_or_refused(seed, n_files):
    counts = Counts()
    fuzz(counts, seed, 0, n_files)
    assert counts.failures == []
    assert counts.outcomes.total() == n_files
    kinds = {kind for kind, _ in counts.outcomes}
    assert kinds == set(KINDS)
    assert len(counts.outcomes) == 2 * len(kinds), "of every kind some can be read, and some not"
    # What FFmpeg reads for us it reads alike for itself. libsndfile may take damage otherwise.
    # Zeros at the end of AMR are silence to FFmpeg.
    allowed = {"same", "length"}
    differing = {
        kind
        for kind, opinion in counts.opinions
        if opinion not in (allowed if kind == "amr" else {"same"})
    }
    assert differing.isdisjoint(BY_FFMPEG), counts.others
    compared = [kind for kind, opinion in counts.opinions.elements()]
    same = [kind for kind, opinion in counts.opinions.elements() if opinion == "same"]
    assert len(compared) > n_files / 10
    assert len(same) > 0.9 * len(compared)


def test_the_page_agrees_with_the_counts():
    assert RESULTS.stale() == []
