from __future__ import annotations

import gc
import json
import re
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import soundsep
from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline
from soundsep.augment.acoustics import noise
from soundsep.datasets import AudioFolder, Clip, Piece
from soundsep.errors import AudioError, ConfigError, DatasetError
from soundsep.metrics import wilson_interval
from soundsep.training import RECIPES, FitReport, Stage, embedding_cache, fit
from soundsep.training.calibration import Calibration
from soundsep.training.cross_validation import group_folds, held_out_logits
from soundsep.training.embedding_cache import EmbeddingCache, embed_files
from soundsep.training.frame_copies import FrameCopies
from soundsep.training.frame_learner import FrameLearner

RATE = 16_000
RANGES_HZ = {"high": (3_000, 4_000), "low": (200, 400), "middle": (900, 1_200)}


@pytest.fixture(scope="module")
def backbone() -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ClassifierConfig(
            labels=("x", "y"),
            network="resnet18",
            frontend=MelConfig(n_mels=16),
            window_seconds=0.5,
            hop_seconds=0.25,
        )
        return Classifier(config).eval()


def write_tone(path, low_hz, high_hz, rng) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = np.sin(2 * np.pi * rng.uniform(low_hz, high_hz) * np.arange(RATE // 2) / RATE)
    soundfile.write(path, 0.3 * tone + 0.02 * rng.standard_normal(RATE // 2), RATE)


@pytest.fixture
def tones(tmp_path):
    """Three classes of six clips that are easy to tell apart."""
    rng = np.random.default_rng(0)
    for label, (low_hz, high_hz) in RANGES_HZ.items():
        for i in range(6):
            write_tone(tmp_path / "tones" / label / f"{i}.wav", low_hz, high_hz, rng)
    return tmp_path / "tones"


def run(data, backbone, **options):
    return fit(data, backbone=backbone, progress=False, **options)


def test_a_folder_becomes_a_model_that_names_new_clips(tones, tmp_path, backbone):
    classifier, report = soundsep.fit(tones, backbone=backbone, progress=False)
    assert isinstance(report, soundsep.FitReport)
    assert report.accuracy == 1.0
    assert re.fullmatch(
        r"FitReport\(probe on \S+: \d+ clips, \d labels, accuracy 1\.0000\)", repr(report)
    )
    assert report.interval == pytest.approx((18 / (18 + 1.96**2), 1.0), abs=1e-4)
    assert (report.n_clips, report.n_recordings, report.n_folds) == (18, 18, 5)
    assert report.warnings == ()
    assert classifier.config.temperature == report.temperature
    classifier.save_pretrained(tmp_path / "model")
    pipe = Pipeline.from_pretrained(tmp_path / "model")
    write_tone(tmp_path / "new.wav", 950, 1_000, np.random.default_rng(1))
    assert pipe(tmp_path / "new.wav").label == "middle"
    assert pipe(tmp_path / "new.wav").score < 1  # eighteen clips are no proof


def test_the_accuracy_is_one_of_clips_not_heard(tmp_path, backbone):
    """Labels that mean nothing: what has been heard would be answered rightly."""
    rng = np.random.default_rng(0)
    for i in range(40):
        write_tone(tmp_path / "ab"[i % 2] / f"{i}.wav", 200, 4_000, rng)
    classifier, report = run(tmp_path, backbone)
    files = AudioFolder(tmp_path).clips
    heard = Pipeline(classifier)([clip.path for clip in files])
    assert np.mean([r.label == c.label for r, c in zip(heard, files, strict=True)]) > 0.9
    assert report.accuracy < 0.75
    assert report.interval[0] < 0.5


def test_clips_of_one_recording_are_never_on_both_sides(tmp_path, backbone):
    """Five copies of each clip under labels that mean nothing are only known from themselves."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE // 2) / RATE
    for i in range(12):
        chord = np.sin(2 * np.pi * rng.uniform(100, 7_000, 6)[:, None] * time).mean(axis=0)
        for copy in range(5):
            path = tmp_path / "ab"[i % 2] / f"{i}-{copy}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, chord + 0.001 * rng.standard_normal(len(time)), RATE)
    grouped = run(AudioFolder(tmp_path, group=r"^\d+"), backbone)[1]
    alone = run(AudioFolder(tmp_path), backbone)[1]
    assert alone.accuracy > 0.85 > 0.7 > grouped.accuracy
    assert (grouped.n_recordings, alone.n_recordings) == (12, 60)
    assert np.diff(grouped.interval) > np.diff(alone.interval)
    assert "Every file was taken for a recording" in alone.worth
    assert "Every file was taken for a recording" not in grouped.worth


def test_a_second_fit_neither_decodes_nor_embeds(tones, backbone, monkeypatch):
    first = run(tones, backbone)
    decoded = []
    load = embedding_cache.load_pieces

    def watched(audio, **options):
        decoded.extend(audio)
        return load(audio, **options)

    monkeypatch.setattr(embedding_cache, "load_pieces", watched)
    second = run(tones, backbone)
    assert decoded == []
    assert first[1].to_dict() == second[1].to_dict()
    for a, b in zip(first[0].parameters(), second[0].parameters(), strict=True):
        assert torch.equal(a, b)
    write_tone(tones / "low" / "new.wav", 200, 400, np.random.default_rng(2))
    run(tones, backbone)
    assert decoded == [tones / "low" / "new.wav"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY", "short", "nan", "float64"])
def test_a_damaged_cache_is_computed_again(tones, backbone, damage):
    path = tones / "low" / "0.wav"
    expected = embed_files(backbone, [path], progress=False)[0][path]
    (entry,) = EmbeddingCache(backbone).arrays.folder.iterdir()
    if damage == "short":
        entry.write_bytes(entry.read_bytes()[:-1])
    elif damage == "nan":
        np.save(entry, np.full(512, np.nan, np.float32))
    elif damage == "float64":
        np.save(entry, np.zeros(512))
    else:
        entry.write_bytes(damage)
    for _ in range(2):
        assert torch.equal(embed_files(backbone, [path], progress=False)[0][path], expected)
    assert torch.equal(EmbeddingCache(backbone).get(entry.stem), expected)


def test_a_cache_that_cannot_be_written_or_placed_is_done_without(
    tones, tmp_path, backbone, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path / "file"))
    assert run(tones, backbone)[1].accuracy == 1.0
    monkeypatch.setenv("SOUNDSEP_CACHE", "~no-such-user/cache")
    assert EmbeddingCache(backbone).arrays.folder is None
    assert run(tones, backbone)[1].accuracy == 1.0


def test_the_cache_is_of_one_body(backbone):
    other = Classifier(backbone.config.replace(labels=("p", "q"), temperature=2.0))
    other.load_state_dict(backbone.state_dict())
    assert EmbeddingCache(other).arrays.folder == EmbeddingCache(backbone).arrays.folder
    with torch.no_grad():
        other.network.head.weight.add_(1)
    assert EmbeddingCache(other).arrays.folder == EmbeddingCache(backbone).arrays.folder
    with torch.no_grad():
        next(other.parameters()).add_(1)
    assert EmbeddingCache(other).arrays.folder != EmbeddingCache(backbone).arrays.folder
    longer = Classifier(backbone.config.replace(window_seconds=1.0))
    longer.load_state_dict(backbone.state_dict())
    assert EmbeddingCache(longer).arrays.folder != EmbeddingCache(backbone).arrays.folder


def test_files_that_cannot_be_used_raise_or_are_listed(tones, backbone):
    (tones / "low" / "broken.wav").write_bytes(b"no audio")
    soundfile.write(tones / "low" / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(tones / "low" / "short.wav", np.ones(10), RATE)
    with pytest.raises(AudioError, match=r"broken\.wav"):
        run(tones, backbone)
    report = run(tones, backbone, errors="skip")[1]
    assert report.n_clips == 18
    reasons = {path.rpartition("low")[2].strip("/\\"): why for path, why in report.skipped}
    assert "cannot be read" in reasons["broken.wav"]
    assert "digital silence" in reasons["silent.wav"]
    assert "too short" in reasons["short.wav"]
    assert "left out" in str(report)


def test_classes_that_are_not_left_are_an_error(tones, backbone):
    for path in (tones / "low").iterdir():
        path.write_bytes(b"no audio " + path.name.encode())
    with pytest.raises(DatasetError, match=r"too few in low \(0\)"):
        run(tones, backbone, errors="skip")
    for path in tones.glob("*/*"):
        path.write_bytes(b"no audio " + str(path).encode())
    with pytest.raises(DatasetError, match="none of the 18 files can be used"):
        run(tones, backbone, errors="skip")


def test_small_and_unequal_classes_are_warned_of(tones, tmp_path, backbone):
    for i in range(2, 6):
        (tones / "low" / f"{i}.wav").unlink()
    rng = np.random.default_rng(3)
    for i in range(6, 20):
        write_tone(tones / "high" / f"{i}.wav", *RANGES_HZ["high"], rng)
    report = run(tones, backbone)[1]
    assert report.n_folds == 5  # the class of two does not decide
    assert report.clips_per_class == (20, 2, 6)
    assert any("expect little of low (2)" in warning for warning in report.warnings)
    assert any("from 2 to 20 clips" in warning for warning in report.warnings)


def test_a_class_of_one_recording_is_learnt_but_not_measured(tones, backbone):
    (tones / "low" / "night").mkdir()
    for path in list((tones / "low").glob("*.wav")):
        path.rename(tones / "low" / "night" / path.name)
    classifier, report = run(tones, backbone)
    assert classifier.labels == ("high", "low", "middle")
    assert report.recalls[1] is None
    assert report.n_recordings_measured == 12
    assert int(report.confusion.sum()) == 12
    assert any("nothing was measured on: low" in warning for warning in report.warnings)
    assert "not measured" in str(report)


def test_where_nothing_can_be_held_out_there_is_no_accuracy(tones, backbone):
    clips = [
        Clip(path=c.path, label=c.label, target=c.target, fold=0, origin=c.label)
        for c in AudioFolder(tones)
    ]
    classifier, report = run(clips, backbone)
    assert report.accuracy is None
    assert report.interval is None
    assert classifier.config.temperature == 1.0
    assert "not measured" in str(report)
    assert "Nothing is known" in report.worth
    json.dumps(report.to_dict(), allow_nan=False)


def test_clips_of_a_data_set_keep_the_order_of_their_targets(tones, backbone):
    clips = [
        Clip(path=c.path, label=c.label, target=40 - 10 * c.target, fold=3, origin=c.origin)
        for c in AudioFolder(tones)
    ]
    assert run(clips, backbone)[0].labels == ("middle", "low", "high")
    wrong = Clip(path=clips[0].path, label="other", target=40, fold=0, origin="s")
    with pytest.raises(DatasetError, match="several"):
        run([*clips, wrong], backbone)
    with pytest.raises(DatasetError, match="at least two classes"):
        run([], backbone)


@pytest.mark.parametrize(
    "option", [{"mode": "guess"}, {"errors": "hide"}, {"n_folds": 1}, {"seed": -1}]
)
def test_options_are_checked(tones, backbone, option):
    with pytest.raises(ConfigError):
        run(tones, backbone, **option)


def test_fine_tuning_goes_on_from_the_probe(tones, backbone, monkeypatch):
    short = RECIPES["finetune"].replace(stages=(Stage(epochs=2),), bfloat16=False)
    monkeypatch.setitem(RECIPES, "finetune", short)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    probe = run(tones, backbone, n_folds=2)[0]
    tuned, report = run(tones, backbone, n_folds=2, mode="finetune")
    assert report.mode == "finetune"
    assert report.accuracy > 0.8
    measured = {"temperature": 1.0, "unknown_below": None}
    assert tuned.config.replace(**measured) == probe.config.replace(**measured)
    name = "network.head.weight"
    assert not torch.equal(tuned.state_dict()[name], probe.state_dict()[name])
    torch.testing.assert_close(
        tuned.state_dict()[name], probe.state_dict()[name], atol=0.05, rtol=0
    )
    assert all(torch.equal(before[key], value) for key, value in backbone.state_dict().items())


def test_folds_hold_whole_groups_and_every_class():
    rng = np.random.default_rng(0)
    groups = [str(g) for g in rng.integers(0, 60, 400)]
    targets = [int(g) % 3 for g in groups]
    folds, n_folds = group_folds(targets, groups, n_folds=5, seed=0)
    assert n_folds == 5
    assert all(
        len({f for f, g in zip(folds, groups, strict=True) if g == name}) == 1
        for name in set(groups)
    )
    counts = np.zeros((5, 3))
    np.add.at(counts, (folds, targets), 1)
    assert (abs(counts / counts.sum(axis=0) - 0.2) < 0.05).all()
    again, _ = group_folds(targets, groups, n_folds=5, seed=0)
    other, _ = group_folds(targets, groups, n_folds=5, seed=1)
    assert (folds == again).all()
    assert (folds != other).any()


@pytest.mark.parametrize(
    ("targets", "n_folds"),
    [([1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1], 5), ([1, 0, 1, 0, 0, 1], 3)],
)
def test_folds_that_could_be_equal_are(targets, n_folds):
    """What sums of thirds and ninths lack to a tie in their last digit does not decide."""
    groups = [f"g{i}" for i in range(len(targets))]
    folds, n = group_folds(targets, groups, n_folds=n_folds, seed=0)
    assert np.bincount(folds).tolist() == [len(targets) // n_folds] * n_folds
    assert n == n_folds


def test_a_recording_of_several_classes_is_held_out_as_a_whole():
    folds, n_folds = group_folds(
        [0, 1, 0, 1, 0, 1], ["a", "a", "b", "b", "c", "c"], n_folds=5, seed=0
    )
    assert n_folds == 3
    assert folds[::2].tolist() == folds[1::2].tolist()
    assert sorted(folds[::2]) == [0, 1, 2]


def test_a_small_class_takes_no_folds_from_the_others():
    """With two folds for its sake, all classes would be measured by models of half the clips."""
    targets = [0] * 10 + [1] * 10 + [2] * 2
    folds, n_folds = group_folds(targets, [f"g{i}" for i in range(22)], n_folds=5, seed=0)
    assert n_folds == 5
    assert np.bincount(folds[:10]).tolist() == np.bincount(folds[10:20]).tolist() == [2] * 5
    assert folds[20] != folds[21]


def test_what_is_in_one_recording_only_does_not_keep_others_from_being_measured():
    folds, n_folds = group_folds([0, 1, 0], ["a", "a", "b"], n_folds=5, seed=0)
    assert (folds.tolist(), n_folds) == ([-1, -1, 0], 1)


def test_a_class_of_one_recording_is_never_held_out_nor_what_is_in_that_recording():
    groups = ["a", "a", "b", "c", "d", "e"]
    folds, n_folds = group_folds([0, 1, 0, 0, 2, 2], groups, n_folds=5, seed=0)
    assert n_folds == 2  # of the last class
    assert folds[:2].tolist() == [-1, -1]
    assert sorted(folds[2:4]) == sorted(folds[4:]) == [0, 1]
    folds, n_folds = group_folds([0, 0, 1], ["a", "a", "b"], n_folds=5, seed=0)
    assert (folds.tolist(), n_folds) == ([-1, -1, -1], 0)
    with pytest.raises(ConfigError, match="n_folds"):
        group_folds([0, 0], ["a", "b"], n_folds=1, seed=0)


def test_no_clip_is_answered_by_what_learnt_it_or_nothing_of_its_class():
    class Learner:
        labels = ("a", "b", "c")
        targets = torch.tensor([0, 1, 0, 2, 0])

        def learn(self, chosen: np.ndarray) -> list[int]:
            return chosen.tolist()

        def answer(self, model: list[int], chosen: np.ndarray) -> torch.Tensor:
            return torch.tensor([[float(i), i in model, 4 in model] for i in chosen])

    folds = np.array([0, 0, 1, 0, -1])
    logits, held_out = held_out_logits(Learner(), folds, 2, progress=False)
    assert held_out.tolist() == [True, False, True, False, False]
    assert logits[held_out].tolist() == [[0, 0, 1], [2, 0, 1]]  # the last clip is always learnt
    assert not logits[~held_out].any()


def test_the_report_counts_what_it_says():
    report = FitReport(
        mode="probe",
        backbone="b",
        labels=("cat", "dog"),
        clips_per_class=(4, 2),
        recordings_per_class=(4, 2),
        n_recordings=6,
        n_folds=2,
        n_recordings_measured=6,
        accuracy=4 / 6,
        interval=wilson_interval(4 / 6, 6),
        confusion=np.array([[3, 1], [1, 1]]),
        calibration_error=0.1,
        temperature=1.5,
    )
    assert report.recalls == (0.75, 0.5)
    assert report.macro_recall == 0.625
    assert report.most_confused(5) == [(1, "cat", "dog"), (1, "dog", "cat")]
    text = str(report)
    assert "66.7%  (95 % interval 30% to 90%; 2 folds, 6 recordings)" in text
    assert "1 x cat taken for dog" in text
    assert report.to_dict()["classes"][1] == {
        "label": "dog",
        "clips": 2,
        "recordings": 2,
        "recall": 0.5,
    }


# Parts of recordings


def pieces_of(path, spans):
    """Clips of a recording: label, start, end and what is heard with it."""
    labels = sorted({label for label, *_ in spans})
    return [
        Clip(
            path=path,
            label=label,
            target=labels.index(label),
            fold=0,
            origin=path.name,
            start_seconds=start,
            end_seconds=end,
            also=tuple(also),
        )
        for label, start, end, *also in spans
    ]


def write_night(path, spans, rng) -> None:
    wave = 0.02 * rng.standard_normal(12 * RATE)
    for label, start, end, *_ in spans:
        time = np.arange(int((end - start) * RATE)) / RATE
        hz = rng.uniform(*RANGES_HZ[label])
        wave[int(start * RATE) :][: len(time)] += 0.3 * np.sin(2 * np.pi * hz * time)
    soundfile.write(path, wave, RATE)


@pytest.fixture
def nights(tmp_path):
    rng = np.random.default_rng(0)
    spans = [("low", 1.0, 2.0), ("high", 3.0, 3.5), ("low", 4.0, 4.5), ("high", 7.0, 9.0)]
    clips = []
    for i in range(3):
        path = tmp_path / f"{i}.wav"
        write_night(path, spans, rng)
        clips += pieces_of(path, spans)
    return clips


def test_pieces_of_recordings_are_learnt_as_clips_of_their_own(nights, backbone):
    report = run(nights, backbone)[1]
    assert (report.n_clips, report.n_recordings, report.n_folds) == (12, 3, 3)
    assert report.accuracy == 1.0
    assert run(nights, backbone)[1].to_dict() == report.to_dict()  # from the cache
    gone = replace(nights[0], start_seconds=20.0, end_seconds=21.0)
    with pytest.raises(AudioError, match=r"0\.wav \(20 s to 21 s\) is no part of the recording"):
        run([*nights, gone], backbone)
    _, report = run([*nights, gone], backbone, errors="skip")
    assert report.n_clips == 12
    assert "(20 s to 21 s)" in report.skipped[0][0]


def test_fine_tuning_hears_the_pieces(nights, backbone, monkeypatch):
    heard = []
    monkeypatch.setitem(RECIPES, "finetune", RECIPES["finetune"].replace(stages=(Stage(epochs=1),)))
    load = embedding_cache.load_pieces
    monkeypatch.setattr(
        embedding_cache,
        "load_pieces",
        lambda audio, **options: ((one, heard.append(w) or w) for one, w in load(audio, **options)),
    )
    run(nights[:8], backbone, mode="finetune", n_folds=2)
    assert sorted({len(waveform) for waveform in heard}) == [RATE // 2, RATE, 2 * RATE]


def test_sounds_at_the_same_time_are_no_mistakes_and_learnt_apart(tmp_path, backbone):
    """Low and high overlap; the model has to name both of a mixture, and either alone."""
    rng = np.random.default_rng(0)
    spans = [
        ("low", 1.0, 3.0, "high"),
        ("high", 1.0, 3.0, "low"),
        ("low", 5.0, 6.0),
        ("high", 8.0, 9.0),
        ("low", 10.0, 11.0),
    ]
    clips = []
    for i in range(4):
        write_night(tmp_path / f"{i}.wav", spans, rng)
        clips += pieces_of(tmp_path / f"{i}.wav", spans)
    classifier, report = run(clips, backbone, n_folds=2)
    assert classifier.config.activation == report.activation == "sigmoid"
    assert report.accuracy == 1.0
    time = np.arange(RATE) / RATE
    both = sum(np.sin(2 * np.pi * hz * time) for hz in (300, 3_500)).astype(np.float32)
    alone = [replace(clip, also=()) for clip in clips]
    apart = run(alone, backbone, n_folds=2, activation="sigmoid")[0]
    told, untold = (
        min(p.score for p in Pipeline(model)(0.2 * both, sample_rate=RATE).predictions)
        for model in (classifier, apart)
    )
    assert told > untold
    for one_only in ({"activation": "softmax"}, {"mode": "finetune"}):
        with pytest.raises(ConfigError, match=r"8 of 20 clips hold several, .*0\.wav \(1 s"):
            run(clips, backbone, n_folds=2, **one_only)


def test_a_sound_that_is_no_class_leaves_a_clip_of_one_label(nights, backbone):
    wind = [replace(clip, also=("wind",)) for clip in nights]
    assert run(wind, backbone, n_folds=2)[0].config.activation == "softmax"


def test_a_background_is_learnt_as_nothing_by_any_backbone(tones, tmp_path, backbone):
    rng = np.random.default_rng(3)
    hum = 0.2 * np.sin(2 * np.pi * 100 * np.arange(4 * RATE) / RATE)
    soundfile.write(tmp_path / "hum.wav", hum + 0.01 * rng.standard_normal(4 * RATE), RATE)
    classifier, report = run(tones, backbone, backgrounds=[tmp_path / "hum.wav"])
    assert report.activation == "sigmoid"
    assert report.accuracy > 0.9
    pipe = Pipeline(classifier)
    assert pipe(tmp_path / "hum.wav").labels == ()
    assert pipe(tones / "low" / "0.wav").label == "low"
    with pytest.raises(ConfigError, match="no background"):
        run(tones, backbone, backgrounds=[tmp_path / "hum.wav"], mode="finetune")
    with pytest.raises(ConfigError, match="activation"):
        run(tones, backbone, activation="tanh")


def test_a_background_that_cannot_be_used_costs_the_others_nothing(tones, tmp_path, backbone):
    places = tmp_path / "places"
    places.mkdir()
    hum = 0.2 * np.sin(2 * np.pi * 100 * np.arange(4 * RATE) / RATE)
    soundfile.write(places / "hum.wav", hum, RATE)
    (places / "broken.wav").write_bytes(b"no audio")
    soundfile.write(places / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(AudioError, match="broken"):
        run(tones, backbone, backgrounds=places)
    classifier, report = run(tones, backbone, backgrounds=places, errors="skip")
    assert [Path(path).name for path, _ in report.skipped] == ["broken.wav", "silent.wav"]
    alone, _ = run(tones, backbone, backgrounds=places / "hum.wav")
    torch.testing.assert_close(classifier.network.head.bias, alone.network.head.bias)
    with pytest.raises(AudioError, match=r"none of the backgrounds .*broken"):
        run(tones, backbone, backgrounds=places / "broken.wav", errors="skip")


def test_backgrounds_are_files_folders_or_one_of_them(tones, tmp_path, backbone):
    hum = 0.2 * np.sin(2 * np.pi * 100 * np.arange(4 * RATE) / RATE)
    (tmp_path / "places" / "field").mkdir(parents=True)
    path = tmp_path / "places" / "field" / "hum.wav"
    soundfile.write(path, hum, RATE)
    given = ([path], path, str(path), [str(tmp_path / "places")], tmp_path / "places", Piece(path))
    biases = [run(tones, backbone, backgrounds=one)[0].network.head.bias for one in given]
    for bias in biases[1:]:
        torch.testing.assert_close(bias, biases[0])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no recordings in .*empty, given as a background"):
        run(tones, backbone, backgrounds=[path, tmp_path / "empty"])


@pytest.mark.parametrize(
    ("data", "found"),
    [({"dog": ["a.wav"]}, "dict with str"), ([("a.wav", "dog")], "list with tuple"), (3, "int")],
)
def test_data_of_other_kinds_get_a_hint(data, found, backbone):
    with pytest.raises(ConfigError, match=rf"got a {found}.* table with the columns path and lab"):
        run(data, backbone)


def test_copies_teach_a_head_of_one_label_a_clip_what_noise_does(tones, backbone):
    """Clips over noise that the plain head, which heard none, mistakes."""
    rng = np.random.default_rng(4)
    clips = [clip for clip in AudioFolder(tones) for _ in range(4)]
    noisy = []
    for clip in clips:
        wave, _ = soundfile.read(clip.path, dtype="float32")
        added = noise(rng, len(wave), RATE)
        noisy.append(wave + added * np.float32(wave.std() / added.std()))

    def right(model) -> float:
        results = Pipeline(model)(noisy, sample_rate=RATE)
        return np.mean([r.label == c.label for r, c in zip(results, clips, strict=True)])

    plain, copied = (run(tones, backbone, copies=copies) for copies in (False, True))
    assert copied[0].config.activation == copied[1].activation == "softmax"
    assert copied[1].accuracy >= 0.9
    assert 0 < copied[0].config.unknown_below <= 1
    assert right(copied[0]) > right(plain[0]) + 0.1
    with pytest.raises(ConfigError, match="copies"):
        run(tones, backbone, copies=True, mode="finetune")


def test_a_clip_too_short_for_copies_is_learnt_as_it_is(tones, backbone):
    """A click: no scene can be made of it."""
    click = np.zeros(RATE // 2, np.float32)
    click[100] = 0.5
    soundfile.write(tones / "low" / "click.wav", click, RATE)
    report = run(tones, backbone, copies=True)[1]
    assert report.skipped == ()
    assert report.n_clips == 19


def test_the_score_that_noise_does_not_reach_is_measured_and_kept(tones, backbone):
    classifier, report = run(tones, backbone)
    assert classifier.config.unknown_below == report.threshold
    assert 0 <= report.noise_named <= 0.1
    pipe, rng = Pipeline(classifier, unknown=True), np.random.default_rng(9)
    noises = [0.1 * noise(rng, RATE // 2, RATE) for _ in range(40)]
    named = [pipe(wave, sample_rate=RATE).label is not None for wave in noises]
    assert sum(named) <= 4
    heard = pipe([clip.path for clip in AudioFolder(tones)])
    assert report.clips_named == pytest.approx(
        np.mean([r.label is not None for r in heard]), abs=0.2
    )
    line = (
        f"with --unknown     {report.clips_named:.1%} of these clips, {report.noise_named:.1%} of"
    )
    last = f"noise still get a label (from a score of {report.threshold:g})"
    assert f"\n{line} {last}\n" in str(report)
    line = line.replace("with --unknown", "get a label   ")
    last = last.replace("still get a label ", "")
    assert f"\n{line} {last}\n" in str(replace(report, activation="sigmoid"))


def test_the_noise_that_is_named_did_not_choose_the_threshold(tones, backbone):
    copier = FrameCopies(backbone)
    clips = list(AudioFolder(tones))
    rows = [copier.of_files([clip.path])[0][clip.path] for clip in clips]
    targets = torch.tensor([clip.target for clip in clips])
    also = torch.zeros(len(clips), 3, dtype=torch.bool)
    labels, audio = tuple(RANGES_HZ), [clip.path for clip in clips]
    chosen = np.arange(len(clips))
    for unheard, least, most in ((copier.of_noise(3), 0.0, 0.4), (torch.cat(rows), 0.8, 1.0)):
        noise_rows = copier.of_noise(0), copier.of_noise(1), unheard
        learner = FrameLearner(
            backbone, labels, rows, *noise_rows, targets, also, audio, device="cpu"
        )
        _, doubt = learner.calibrated(learner.learn(chosen), Calibration())
        assert least <= doubt.noise_named <= most


def frame_learner(backbone, clips, also) -> FrameLearner:
    copier = FrameCopies(backbone)
    rows = [copier.of_files([clip.path])[0][clip.path] for clip in clips]
    noise_rows = (copier.of_noise(0), copier.of_noise(1), copier.of_noise(3))
    targets = torch.tensor([clip.target for clip in clips])
    return FrameLearner(
        backbone, tuple(RANGES_HZ), rows, *noise_rows, targets, also, [], device="cpu"
    )


def test_scores_are_calibrated_apart_from_the_other_sounds_in_a_clip(tones, backbone):
    clips = list(AudioFolder(tones))
    targets = torch.tensor([clip.target for clip in clips])
    also = torch.nn.functional.one_hot((targets + 1) % 3, 3).bool()
    is_there = also | torch.nn.functional.one_hot(targets, 3).bool()
    logits = torch.where(is_there, 4.0, -4.0)
    chosen = np.arange(len(clips))
    temperature, offset = frame_learner(backbone, clips, also).calibrate(logits, chosen)
    assert ((logits + offset) / temperature).sigmoid()[is_there].min() > 0.7


def test_no_learner_outlives_its_fit(tones, backbone):
    clips = list(AudioFolder(tones))
    learner = frame_learner(backbone, clips, torch.zeros(len(clips), 3, dtype=torch.bool))
    learner.learn(np.arange(len(clips)))
    kept = weakref.ref(learner)
    del learner
    gc.collect()
    assert kept() is None


def test_several_backgrounds_are_measured_on_some_that_were_not_learnt(tmp_path, backbone):
    for i in range(3):
        tone = 0.1 * np.sin(2 * np.pi * 100 * (i + 1) * np.arange(2 * RATE) / RATE)
        soundfile.write(tmp_path / f"{i}.wav", tone, RATE)
    paths = [tmp_path / f"{i}.wav" for i in range(3)]
    copies = [FrameCopies(backbone, backgrounds=paths[:n]) for n in (0, 1, 3)]
    rows = [[c.of_noise(seed)[2::2, 1:] for seed in (0, 1)] for c in copies]  # of backgrounds
    apart = {}
    for n, (learnt, kept) in zip((0, 1, 3), rows, strict=True):
        apart[n] = float(torch.cdist(learnt, kept).amin(dim=1).mean())
    assert apart[1] < apart[3]
