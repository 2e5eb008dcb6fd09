from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from soundsep import (
    AudioError,
    Classifier,
    ClassifierConfig,
    ClipResult,
    ConfigError,
    DatasetError,
    Pipeline,
    Prediction,
)
from soundsep.datasets import Clip
from soundsep.evaluation import Evaluation, evaluate
from soundsep.metrics import independent_trials, wilson_interval

LABELS = ("dog", "rain", "siren")


class Oracle:
    """Answers by the file's name, with a score of 0.5."""

    labels = LABELS

    def __call__(self, audio, *, errors="raise", **_):
        if errors == "raise" and any(path.name == "broken" for path in audio):
            raise AudioError("broken")
        return [
            ClipResult(path=str(path), error="it is broken")
            if path.name == "broken"
            else ClipResult(predictions=(Prediction(path.name, 0.5),))
            for path in audio
        ]


def clip(tmp_path, label: str, answer: str) -> Clip:
    target = LABELS.index(label) if label in LABELS else 0
    return Clip(path=tmp_path / answer, label=label, target=target, fold=1, origin="1")


def test_figures_of_a_known_case(tmp_path):
    pairs = [("dog", "dog"), ("dog", "rain"), ("dog", "rain"), ("rain", "rain")]
    evaluation = evaluate(Oracle(), [clip(tmp_path, *pair) for pair in pairs])
    assert evaluation.n_clips == 4
    assert evaluation.metrics.accuracy == 0.5
    assert evaluation.metrics.macro_recall == pytest.approx((1 / 3 + 1) / 2)
    assert evaluation.calibration_error == 0.0
    assert evaluation.confusion.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
    assert evaluation.most_confused(5) == [(2, "dog", "rain")]
    assert "2 x dog taken for rain" in str(evaluation)
    assert repr(evaluation) == "Evaluation(4 clips, 3 labels, accuracy 0.5000)"


def test_the_interval_counts_recordings_and_answers_have_their_clips(tmp_path):
    clips = [
        replace(clip(tmp_path, "dog", answer), origin=origin)
        for answer, origin in (("dog", "1"), ("rain", "2"), ("dog", "2"), ("broken", "3"))
    ]
    evaluation = evaluate(Oracle(), clips, errors="skip")
    assert evaluation.clips == tuple(clips[:3])
    assert evaluation.n_recordings == 2
    assert evaluation.interval == wilson_interval(2 / 3, independent_trials("122"))
    low, high = evaluation.to_dict()["interval_95"]
    assert f"(95 % interval {low:.1%} to {high:.1%}; 2 recordings)" in str(evaluation)
    assert Evaluation.pooled([evaluation, evaluation]).n_recordings == 2
    assert replace(evaluation, clips=()).n_recordings == 3  # not known, so each for itself


def test_options_reach_the_pipeline(tmp_path):
    asked = {}

    class Asked(Oracle):
        def __call__(self, audio, **options):
            asked.update(options)
            return super().__call__(audio)

    options = {"batch_size": 3, "n_shifts": 4, "progress": False}
    evaluate(Asked(), [clip(tmp_path, "dog", "dog")], **options)
    assert asked == {"top_k": 1, **options}


def test_every_class_has_a_line_in_the_table(tmp_path):
    pairs = [("dog", "dog"), ("dog", "rain"), ("rain", "rain")]
    lines = evaluate(Oracle(), [clip(tmp_path, *pair) for pair in pairs]).class_table().splitlines()
    assert len({len(line) for line in lines}) == 1  # columns, for names of any length
    assert [line.split() for line in lines] == [
        ["class", "precision", "recall", "F1", "clips"],
        ["dog", "100.00%", "50.00%", "66.67%", "2"],
        ["rain", "50.00%", "100.00%", "66.67%", "1"],
        ["siren", "0.00%", "0.00%", "0.00%", "0"],
    ]


def test_what_is_saved_can_be_read(tmp_path):
    evaluation = evaluate(Oracle(), [clip(tmp_path, "dog", "dog")])
    path = tmp_path / "new" / "figures.json"
    evaluation.save(path)
    saved = json.loads(path.read_text())
    assert saved == evaluation.to_dict()  # which has plain types only
    assert saved["accuracy"] == 1.0
    assert np.array(saved["confusion"]).shape == (3, 3)


def test_nothing_to_evaluate_unknown_labels_and_bad_clips(tmp_path):
    with pytest.raises(DatasetError, match="no clips"):
        evaluate(Oracle(), [])
    with pytest.raises(DatasetError, match="whale"):
        evaluate(Oracle(), [clip(tmp_path, "whale", "dog")])
    with pytest.raises(AudioError):
        evaluate(Oracle(), [clip(tmp_path, "dog", "broken")])


def test_clips_that_cannot_be_classified_may_be_left_out(tmp_path):
    pairs = [("dog", "dog"), ("rain", "broken"), ("siren", "rain")]
    clips = [clip(tmp_path, *pair) for pair in pairs]
    evaluation = evaluate(Oracle(), clips, errors="skip")
    assert evaluation.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    broken = {"path": str(tmp_path / "broken"), "reason": "it is broken"}
    assert evaluation.to_dict()["skipped"] == [broken]
    assert "left out: it is broken" in str(evaluation)
    assert len(Evaluation.pooled([evaluation, evaluation]).skipped) == 2
    with pytest.raises(DatasetError, match="none of the 1 clips can be classified: it is broken"):
        evaluate(Oracle(), clips[1:2], errors="skip")
    with pytest.raises(ConfigError, match="errors"):
        evaluate(Oracle(), clips, errors="hide")


def test_folds_are_pooled_clip_by_clip(tmp_path):
    folds = [[("dog", "dog")], [("rain", "dog"), ("rain", "rain"), ("dog", "siren")]]
    parts = [evaluate(Oracle(), [clip(tmp_path, *pair) for pair in fold]) for fold in folds]
    whole = evaluate(Oracle(), [clip(tmp_path, *pair) for fold in folds for pair in fold])
    assert Evaluation.pooled(parts).to_dict() == whole.to_dict()
    assert Evaluation.pooled([whole]).to_dict() == whole.to_dict()
    # The error of the parts, .5 and .17, is not that of the whole: of 4 answers 2 are right.
    assert whole.calibration_error == 0.0
    with pytest.raises(ConfigError, match="same labels"):
        Evaluation.pooled([])
    with pytest.raises(ConfigError, match="same labels"):
        Evaluation.pooled([whole, replace(whole, labels=("cat", "cow", "hen"))])


class Loudness:
    """Answers "siren" for the loud half of what it hears, "rain" for the rest."""

    labels = LABELS
    sample_rate = 1_000

    def __call__(self, audio, **_):
        loud = (float(item["array"].abs().max()) > 0.5 for item in audio)
        return (ClipResult(predictions=(Prediction("siren" if x else "rain", 0.5),)) for x in loud)


def test_pieces_of_recordings_are_heard_and_other_sounds_in_them_are_no_mistakes(tmp_path):
    wave = np.full(4_000, 0.1)
    wave[1_000:2_000] = 0.9
    soundfile.write(tmp_path / "a.wav", wave, 1_000)
    spans = [("rain", 2, 4, ()), ("siren", 1, 2, ()), ("dog", 0, 1, ("rain",)), ("dog", 1, 2, ())]
    clips = [
        replace(clip(tmp_path, label, "a.wav"), start_seconds=a, end_seconds=b, also=also)
        for label, a, b, also in spans
    ]
    evaluation = evaluate(Loudness(), clips)
    assert [LABELS[answer] for answer in evaluation.answers] == ["rain", "siren", "rain", "siren"]
    assert evaluation.metrics.accuracy == 0.75  # the dog's first piece holds rain too
    whole = clip(tmp_path, "siren", "a.wav")
    mixed = evaluate(Loudness(), [clips[0], whole, clips[1]])
    assert [LABELS[answer] for answer in mixed.answers] == ["rain", "siren", "siren"]
    late = replace(clips[0], start_seconds=5, end_seconds=6)
    with pytest.raises(AudioError, match="is no part of the recording"):
        evaluate(Loudness(), [late])
    rest = evaluate(Loudness(), [*clips, late], errors="skip")
    assert rest.confusion.tolist() == evaluation.confusion.tolist()
    assert [path for path, _ in rest.skipped] == [str(late.audio)]


def test_a_silent_piece_is_named(tmp_path):
    pipe = Pipeline(Classifier(ClassifierConfig(labels=LABELS, network="cnn4")))
    wave = np.zeros(64_000)
    wave[:32_000] = np.random.default_rng(0).normal(0, 0.1, 32_000)
    soundfile.write(tmp_path / "a.wav", wave, pipe.sample_rate)
    first, silent = (
        replace(clip(tmp_path, "dog", "a.wav"), start_seconds=a, end_seconds=a + 1) for a in (0, 3)
    )
    evaluation = evaluate(pipe, [first, silent], errors="skip", progress=False)
    assert evaluation.n_clips == 1
    ((path, reason),) = evaluation.skipped
    assert path == str(silent.audio)
    assert reason.startswith(f"{path} is digital silence")
