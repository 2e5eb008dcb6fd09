from __future__ import annotations

import dataclasses
import json
import math
import pickle

import pytest

from soundsep import AudioError, ClipResult, ConfigError, Event, Prediction

RESULT = ClipResult(
    predictions=tuple(Prediction(name, score) for name, score in (("dog", 0.7), ("<cat>", 0.3))),
    path="a & b.wav",
    duration_seconds=1.25,
)
FAILED = ClipResult(path="bad.wav", error="bad.wav is not audio")


def test_the_best_label_comes_first():
    assert (RESULT.label, RESULT.score) == ("dog", 0.7)
    assert RESULT.top(1) == (Prediction("dog", 0.7),)
    assert RESULT.top(9) == RESULT.predictions
    assert RESULT.top(-1) == ()


def test_results_are_frozen_and_picklable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESULT.path = "other"
    assert pickle.loads(pickle.dumps(RESULT)) == RESULT


def test_dicts_survive_json():
    assert json.loads(json.dumps(RESULT.to_dict())) == {
        "path": "a & b.wav",
        "duration_seconds": 1.25,
        "label": "dog",
        "predictions": [{"label": "dog", "score": 0.7}, {"label": "<cat>", "score": 0.3}],
    }
    assert FAILED.to_dict() == {"path": "bad.wav", "error": "bad.wav is not audio"}


@pytest.mark.parametrize(
    "result",
    [
        RESULT,
        FAILED,
        ClipResult(predictions=RESULT.predictions, is_known=False),
        ClipResult(predictions=RESULT.predictions, named=RESULT.predictions),
        ClipResult(predictions=RESULT.predictions, named=(), is_known=False),
        ClipResult(predictions=(Prediction("dog", 0.5, heard_in="source1"),), path="mix.wav"),
        ClipResult(path="silence.wav", duration_seconds=2.0, is_known=False),
    ],
)
def test_a_dict_becomes_the_result_again(result):
    written = json.loads(json.dumps(result.to_dict()))
    assert ClipResult.from_dict(written) == result
    assert ClipResult.from_dict({**written, "model": "m", "start_time": None}) == result


def test_a_named_label_below_the_top_ones_has_no_score_in_a_dict():
    named = Prediction("cat", 0.2)  # whose threshold is lower than that of the best label
    result = ClipResult(predictions=(Prediction("dog", 0.4),), named=(named,))
    read = ClipResult.from_dict(result.to_dict())
    assert read.labels == ("cat",)
    assert math.isnan(read.score)


def test_a_dict_becomes_the_event_again():
    event = Event(1.25, 2.5, "dog", 0.75)
    assert Event.from_dict({"path": "a.wav", **event.to_dict(), "start_time": None}) == event


@pytest.mark.parametrize("kind", [ClipResult, Event, Prediction])
@pytest.mark.parametrize("wrong", [None, "dog", [], {}, {"label": "dog"}, {"score": "loud"}])
def test_what_is_no_dict_of_a_result_is_refused_in_words(kind, wrong):
    with pytest.raises(ConfigError, match=f"expected what {kind.__name__}.to_dict gives, got a "):
        kind.from_dict(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": None},
        {"score": 10**400},
        {"heard_in": [1]},
    ],
)
def test_a_prediction_of_other_types_is_refused(wrong):
    written = Prediction("dog", 0.5, "mixture").to_dict()
    assert Prediction.from_dict(written) == Prediction("dog", 0.5, "mixture")
    with pytest.raises(ConfigError, match="expected what Prediction"):
        Prediction.from_dict(written | wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": 3},
        {"label": 3},
        {"error": 5},
        {"labels": "dog"},
        {"labels": [3]},
        {"predictions": "dog"},
        {"duration_seconds": 10**400},
        {"duration_seconds": "1_0"},
    ],
)
def test_a_result_of_other_types_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"expected what \w+\.to_dict gives"):
        ClipResult.from_dict(RESULT.to_dict() | wrong)


@pytest.mark.parametrize("wrong", [{"label": None}, {"start_seconds": 10**400}, {"score": "0.1_5"}])
def test_an_event_of_other_types_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"expected what Event\.to_dict gives"):
        Event.from_dict(Event(1.25, 2.5, "dog", 0.75).to_dict() | wrong)


def test_a_failed_clip_never_gives_a_label():
    with pytest.raises(AudioError, match="not audio"):
        _ = FAILED.label
    assert "not audio" in str(FAILED)
    assert "not audio" in repr(FAILED)


def test_a_result_without_predictions_can_be_looked_at():
    empty = ClipResult(path="x.wav")
    assert repr(empty) == "ClipResult(None, 0.000, path='x.wav')"
    assert empty.to_dict()["label"] is None


def test_the_printed_forms_show_label_and_score():
    assert "dog" in str(RESULT)
    assert "0.700" in str(RESULT)
    assert repr(RESULT) == "ClipResult('dog', 0.700, path='a & b.wav')"
    assert len(RESULT.table(1).splitlines()) == 2


def test_the_notebook_table_escapes_its_text():
    text = RESULT._repr_html_()
    assert "&lt;cat&gt;" in text
    assert "a &amp; b.wav" in text
    assert "<cat>" not in text


def several(*named: Prediction, is_known: bool = True) -> ClipResult:
    """Of a model that names any number of sounds."""
    predictions = (Prediction("dog", 0.7), Prediction("rain", 0.6), Prediction("cat", 0.1))
    return ClipResult(
        predictions=predictions,
        named=named,
        is_known=is_known,
        path="a.wav",
        duration_seconds=5.0,
    )


def test_a_clip_may_have_several_labels():
    result = several(Prediction("dog", 0.7), Prediction("rain", 0.6))
    assert result.labels == ("dog", "rain")
    assert (result.label, result.score) == ("dog", 0.7)
    assert len(result.top(9)) == 3
    assert str(result).splitlines()[0] == "a.wav, 5.0 s: dog, rain"
    assert "dog, rain" in result._repr_html_()
    assert repr(result) == "ClipResult('dog', 'rain', 0.700, path='a.wav')"
    assert json.loads(json.dumps(result.to_dict()))["labels"] == ["dog", "rain"]
    # The best label is the best of those that reach their thresholds.
    result = several(Prediction("rain", 0.6))
    assert (result.label, result.score, result.best.label) == ("rain", 0.6, "dog")


def test_a_clip_may_have_no_label():
    result = several(is_known=False)
    assert (result.label, result.labels, result.score) == (None, (), 0.7)
    assert str(result).splitlines()[0] == "a.wav, 5.0 s: nothing known"
    assert repr(result) == "ClipResult(None, 0.700, path='a.wav')"
    assert result.to_dict()["labels"] == []
    assert result.to_dict()["label"] is None


def test_a_model_of_one_label_has_one_label():
    assert RESULT.labels == ("dog",)
    assert ClipResult(predictions=RESULT.predictions, is_known=False).labels == ()
    assert ClipResult(path="x.wav").labels == ()
    with pytest.raises(AudioError, match="not audio"):
        _ = FAILED.labels
