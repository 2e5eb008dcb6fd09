from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep.audio import load_audio, resample
from soundsep.datasets import ESC50, Clip, check_leakage, find_near_duplicates, pieces
from soundsep.errors import AudioError, ConfigError, DatasetError, SoundsepWarning

RATE = 16_000


def sound(seed: int, seconds: float = 4.0) -> np.ndarray:
    """Bursts of coloured noise and gliding tones over a noise floor."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    out = 0.01 * rng.standard_normal(n)
    for _ in range(round(3 * seconds)):
        length = int(rng.integers(1_000, 6_000))
        start = int(rng.integers(0, n - length))
        time = np.arange(length) / RATE
        glide = np.sin(2 * np.pi * (rng.uniform(200, 3_000) + rng.uniform(-500, 500) * time) * time)
        hiss = np.convolve(rng.standard_normal(length), np.ones(int(rng.integers(1, 20))), "same")
        out[start : start + length] += np.hanning(length) * (0.3 * glide + 0.05 * hiss)
    return out.astype(np.float32)


def encoded(samples: np.ndarray, form: str) -> np.ndarray:
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, format=form)
    stream.seek(0)
    return soundfile.read(stream, dtype="float32")[0]


def noisy(samples: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(99).standard_normal(len(samples))
    return samples + noise * np.sqrt((samples**2).mean() / 100)


def shifted(samples: np.ndarray, n: int) -> np.ndarray:
    """Later by ``n`` samples, at the same length; earlier where it is negative."""
    silence = np.zeros(abs(n), np.float32)
    return np.concatenate([silence, samples[:-n]] if n > 0 else [samples[-n:], silence])


PLANTED = {
    "gain": lambda x: 0.2 * x,
    "polarity": lambda x: -x,
    "offset": lambda x: 0.02 * x + np.float32(0.4),
    "later": lambda x: shifted(x, 24_100),
    "earlier": lambda x: shifted(x, -32_133),
    "noise": noisy,
    "ogg": lambda x: encoded(x, "OGG"),
    "mp3": lambda x: encoded(x, "MP3"),
    "half the band": lambda x: resample(resample(torch.from_numpy(x), 2, 1), 1, 2).numpy(),
    "all": lambda x: encoded(noisy(-0.5 * shifted(x, 10_007)), "OGG"),
}


def clip(path: Path, samples: np.ndarray, rate: int = RATE) -> Clip:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return Clip(path=path, label="x", target=0, fold=1, origin=path.stem)


@pytest.fixture
def training(tmp_path) -> list[Clip]:
    return [clip(tmp_path / f"{seed}.wav", sound(seed)) for seed in range(12)]


@pytest.mark.parametrize("name", PLANTED)
def test_planted_copies_are_found_and_nothing_else(training, tmp_path, name):
    test = [clip(tmp_path / f"new{i}.wav", PLANTED[name](sound(i))) for i in (3, 100, 101)]
    (found,) = find_near_duplicates(training, test, progress=False)
    assert (found.training, found.test) == (training[3], test[0])
    assert found.similarity > 0.4
    late = {"later": 24_100, "earlier": -32_133, "all": 10_007}.get(name, 0)
    assert found.offset_seconds == pytest.approx(late / RATE, abs=0.002 if name == "mp3" else 2e-4)


def test_an_exact_copy_at_another_rate_is_nearly_one(training, tmp_path):
    faster = resample(torch.from_numpy(sound(5)), RATE, 44_100).numpy()
    (found,) = find_near_duplicates(training, [clip(tmp_path / "44k.wav", faster, 44_100)])
    assert found.training == training[5]
    assert found.similarity > 0.9


def test_a_piece_of_a_long_recording_is_found_where_it_is(training, tmp_path):
    long = clip(tmp_path / "long.wav", np.concatenate([sound(s) for s in range(50, 60)]))
    (found,) = find_near_duplicates([long, training[0]], [clip(tmp_path / "a.wav", sound(57))])
    assert found.training == long
    assert found.offset_seconds == pytest.approx(-28, abs=1e-3)
    (turned,) = find_near_duplicates([found.test], [long])
    assert turned.offset_seconds == pytest.approx(28, abs=1e-3)


def test_a_long_recording_is_read_once_for_the_fingerprints_of_its_pieces(tmp_path, monkeypatch):
    night = clip(tmp_path / "night.wav", np.concatenate([sound(seed) for seed in range(4)]))
    known = [replace(night, start_seconds=4.0 * i, end_seconds=4.0 * i + 4) for i in range(4)]
    opened = []

    def blocks(path, **options):
        opened.append(path)
        return pieces_blocks(path, **options)

    pieces_blocks = pieces.audio_blocks
    monkeypatch.setattr(pieces, "audio_blocks", blocks)
    silence = clip(tmp_path / "silence.wav", np.zeros(4 * RATE, np.float32))
    assert find_near_duplicates(known, [silence], progress=False) == []
    assert opened == [night.path]
    copy = clip(tmp_path / "copy.wav", sound(2))
    (found,) = find_near_duplicates(known, [copy], progress=False)
    assert found.training == known[2]


def test_broken_clips_on_either_side_cost_the_others_nothing(training, tmp_path):
    copy = clip(tmp_path / "copy.wav", noisy(sound(4)))
    broken = [replace(copy, path=tmp_path / name) for name in ("broken.wav", "empty.wav")]
    broken[0].path.write_bytes(b"RIFFnothing")
    broken[1].path.touch()
    known, asked = [broken[0], *training], [broken[1], copy]
    with pytest.raises(AudioError, match="broken"):
        find_near_duplicates(known, asked)
    with pytest.raises(AudioError, match="broken"):
        check_leakage(training, broken, audio=True)
    both = r"2 of 1\d clips could not be compared:\n.*broken\.wav.*\n.*empty\.wav"
    with pytest.warns(SoundsepWarning, match=both):
        (found,) = find_near_duplicates(known, asked, errors="skip")
    assert (found.training, found.test) == (training[4], copy)
    with pytest.warns(SoundsepWarning, match=both):
        assert len(find_near_duplicates([*known, *asked], errors="skip")) == 1
    with (
        pytest.warns(SoundsepWarning, match="empty"),
        pytest.raises(DatasetError, match="same recording"),
    ):
        check_leakage(training, asked, audio=True, errors="skip")
    with pytest.warns(SoundsepWarning, match=both):
        check_leakage(training, broken, audio=True, errors="skip")
    with pytest.raises(ConfigError, match="skip"):
        check_leakage(training, asked, errors="return")


def test_a_long_recording_is_read_once_for_the_pieces_of_the_test(tmp_path, monkeypatch):
    night = clip(tmp_path / "night.wav", np.concatenate([sound(seed) for seed in range(4)]))
    asked = [replace(night, start_seconds=4.0 * i, end_seconds=4.0 * i + 4) for i in range(4)]
    opened, blocks = [], pieces.audio_blocks
    monkeypatch.setattr(pieces, "audio_blocks", lambda p, **o: opened.append(p) or blocks(p, **o))
    assert find_near_duplicates([clip(tmp_path / "other.wav", sound(9))], asked) == []
    assert opened == [night.path]


def test_clips_are_compared_among_themselves(training, tmp_path):
    copy = clip(tmp_path / "copy.wav", noisy(sound(4)))
    found = find_near_duplicates([*training, copy])
    assert [(pair.training, pair.test) for pair in found] == [(training[4], copy)]


def test_silence_tones_and_scraps_are_like_nothing(tmp_path):
    time = np.arange(4 * RATE) / RATE
    rng = np.random.default_rng(0)
    clips = [
        clip(tmp_path / "silence.wav", np.zeros(RATE)),
        clip(tmp_path / "silence2.wav", np.zeros(RATE)),
        clip(tmp_path / "scrap.wav", np.ones(1)),
        *(
            clip(tmp_path / f"tone{i}.wav", np.sin(6_283 * time + i) + noise)
            for i, noise in enumerate(0.01 * rng.standard_normal((2, len(time))))
        ),
    ]
    assert find_near_duplicates(clips) == []
    assert find_near_duplicates([]) == []


def test_the_guard_listens_when_asked_to(training, tmp_path):
    test = [clip(tmp_path / "renamed.wav", noisy(sound(7)))]
    check_leakage(training, test)
    with pytest.raises(DatasetError, match=r"same recording .*7\.wav and .*renamed\.wav"):
        check_leakage((c for c in training), (c for c in test), audio=True)
    check_leakage(training[:7], test, audio=True)


@pytest.mark.parametrize(
    ("name", "least", "n_least"),
    [
        ("later", 0.9, 50),
        ("ogg", 0.7, 50),
        ("mp3", 0.7, 50),
        ("noise", 0.5, 50),
        ("half the band", 0.4, 50),
        ("all", 0.4, 48),
    ],
)
def test_real_clips_are_told_apart_and_their_copies_found(
    esc50_root, tmp_path, name, least, n_least
):
    """One clip of each class; docs/leakage.md gives these figures."""
    clips = list({c.label: c for c in ESC50(esc50_root, folds=[2])}.values())
    samples = [load_audio(c.path)[0].numpy() for c in clips]
    copies = [clip(tmp_path / f"{i}.wav", PLANTED[name](x)) for i, x in enumerate(samples)]
    found = find_near_duplicates(clips, copies, progress=False)
    assert all(pair.training is clips[int(pair.test.path.stem)] for pair in found)
    assert len(found) >= n_least
    assert min(pair.similarity for pair in found) >= least


def test_esc50_holds_recordings_twice_within_its_folds_and_across(esc50_root):
    """The pairs that docs/leakage.md counts, of which it lists those across."""
    expected = {
        ("1-14262-A-37", "4-198841-A-37"): 0.91,
        ("4-144083-B-16", "5-217186-A-16"): 0.84,
        ("3-151080-A-20", "5-151085-A-20"): 0.55,
        ("4-175856-A-43", "5-180156-B-43"): 0.38,
        ("4-175846-A-43", "5-180156-A-43"): 0.21,
        ("2-28314-A-12", "2-30322-A-12"): 0.94,
        ("3-177082-A-22", "3-177083-A-22"): 0.90,
        ("1-23222-A-19", "1-24524-C-19"): 0.82,
        ("2-133889-A-30", "2-134915-A-30"): 0.80,
        ("5-212054-A-36", "5-212059-A-36"): 0.59,
        ("1-68670-A-34", "1-68734-A-34"): 0.59,
        ("3-140199-C-8", "3-197408-B-8"): 0.53,
        ("3-140199-A-8", "3-197408-A-8"): 0.53,
        ("2-28314-B-12", "2-30322-B-12"): 0.25,
    }
    assert len(expected) == 14
    names = {name for pair in expected for name in pair}
    names |= {"2-81970-C-7", "3-105235-A-7"}  # insects, alike in 70 ms at the ends of the two
    clips = [c for c in ESC50(esc50_root) if c.path.stem in names]
    found = find_near_duplicates(clips, progress=False)
    twice = [p for p in found if p.training.origin != p.test.origin]
    pairs = {(p.training.path.stem, p.test.path.stem): p.similarity for p in twice}
    assert pairs == pytest.approx(expected, abs=0.01)
