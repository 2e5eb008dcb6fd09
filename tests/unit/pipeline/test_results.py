from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from soundsep import AudioError, ClipResult, Prediction

RESULT = ClipResult(
    predictions=tuple(Prediction(name, score) for name, score in (("dog", 0.7), ("<cat>", 0.3))),
    source="a & b.wav",
    duration_seconds=1.25,
)
FAILED = ClipResult(source="bad.wav", error="bad.wav is not audio")


def test_the_best_label_comes_first():
    assert (RESULT.label, RESULT.score) == ("dog", 0.7)
    assert RESULT.top(1) == (Prediction("dog", 0.7),)
    assert RESULT.top(9) == RESULT.predictions
    assert RESULT.top(-1) == ()


def test_results_are_frozen_and_picklable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESULT.source = "other"
    assert pickle.loads(pickle.dumps(RESULT)) == RESULT


def test_dicts_survive_json():
    assert json.loads(json.dumps(RESULT.to_dict())) == {
        "source": "a & b.wav",
        "duration_seconds": 1.25,
        "label": "dog",
        "predictions": [{"label": "dog", "score": 0.7}, {"label": "<cat>", "score": 0.3}],
    }
    assert FAILED.to_dict() == {"source": "bad.wav", "error": "bad.wav is not audio"}


def test_a_failed_clip_never_gives_a_label():
    with pytest.raises(AudioError, match="not audio"):
        _ = FAILED.label
    assert "not audio" in str(FAILED)
    assert "not audio" in repr(FAILED)


def test_a_result_without_predictions_can_be_looked_at():
    empty = ClipResult(source="x.wav")
    assert repr(empty) == "ClipResult(None, 0.000, source='x.wav')"
    assert empty.to_dict()["label"] is None


def test_the_printed_forms_show_label_and_score():
    assert "dog" in str(RESULT)
    assert "0.700" in str(RESULT)
    assert repr(RESULT) == "ClipResult('dog', 0.700, source='a & b.wav')"
    assert len(RESULT.table(1).splitlines()) == 2


def test_the_notebook_table_escapes_its_text():
    text = RESULT._repr_html_()
    assert "&lt;cat&gt;" in text
    assert "a &amp; b.wav" in text
    assert "<cat>" not in text
