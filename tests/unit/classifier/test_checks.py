"""A classifier of one's own is held to what a pipeline takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soundsep import ConfigError, Pipeline, ShapeError
from soundsep.classifier.checks import ATTRIBUTES
from soundsep.classifier.protocol import ClassifierLike

RATE = 8_000
SETTINGS = {
    "window_seconds": 1.0,
    "hop_seconds": 0.5,
    "window_samples": RATE,
    "hop_samples": RATE // 2,
    "min_samples": 1,
    "window_bytes": 2**20,
    "padding": "zero",
    "activation": "sigmoid",
    "unknown_below": None,
    "label_thresholds": (0.5, 0.5),
    "label_medians": (0.0, 0.0),
}


class Loudness:
    """Not a network: how loud a window is, and how soft."""

    labels: ClassVar = ("loud", "soft")
    sample_rate: ClassVar = RATE
    frame_length: ClassVar = None
    config: ClassVar = SimpleNamespace(**SETTINGS)

    def predict(self, waveform: Tensor) -> Tensor:
        level = waveform.abs().amax(dim=1)
        return torch.stack((level, 1 - level), dim=1)

    def frame_scores(self, waveform: Tensor) -> Tensor:
        raise AssertionError("it has no frames")


def made(**attributes) -> Loudness:
    return type("Mine", (Loudness,), attributes)()


def with_settings(**settings) -> Loudness:
    return made(config=SimpleNamespace(**(SETTINGS | settings)))


CLIP = 0.75 * torch.tensor([1.0, -1.0]).repeat(3 * RATE // 2)  # a square wave


def test_any_object_with_the_attributes_is_a_classifier():
    pipe = Pipeline(Loudness())
    assert pipe(CLIP, sample_rate=RATE).labels == ("loud",)
    (event,) = pipe.events(CLIP, sample_rate=RATE)
    assert (event.start_seconds, event.end_seconds, event.label) == (0.0, 3.0, "loud")
    assert pipe.scores(CLIP, sample_rate=RATE)["loud"].tolist() == [0.75] * 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("limit", [0.7, 0.3, 0.1])
def test_a_score_equal_to_a_limit_in_float32_reaches_it_everywhere(limit, dtype):
    settings = {"label_thresholds": (limit, limit), "unknown_below": limit}
    scores = torch.tensor([limit, 0.0]).to(dtype)
    mine = made(
        predict=lambda self, waveform: scores.expand(len(waveform), 2),
        config=SimpleNamespace(**SETTINGS | settings),
    )
    pipe = Pipeline(mine, unknown=True)
    assert pipe(CLIP, sample_rate=RATE).labels == ("loud",)
    assert len(list(pipe.events(CLIP, sample_rate=RATE))) == 1
    assert len(list(pipe.events(CLIP, sample_rate=RATE, threshold=limit, min_score=limit))) == 1
    assert pipe.scores(CLIP, sample_rate=RATE).is_known.all()
    above = np.nextafter(np.float32(limit), np.float32(1)).item()
    assert list(pipe.events(CLIP, sample_rate=RATE, threshold=above)) == []
    assert list(pipe.events(CLIP, sample_rate=RATE, min_score=above)) == []


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_missing_attribute_is_named(name):
    kept = {other: getattr(Loudness(), other) for other in ATTRIBUTES if other != name}
    with pytest.raises(ConfigError, match=rf"SimpleNamespace has no {name}$"):
        Pipeline(SimpleNamespace(**kept))


def test_attributes_are_those_of_the_protocol():
    assert {*ATTRIBUTES} == {name for name in vars(ClassifierLike) if name[0] != "_"}


def test_a_plain_module_and_a_class_are_refused():
    with pytest.raises(ConfigError, match="Linear has no config, labels, sample_rate, frame_le"):
        Pipeline(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="an object, got the class Loudness itself"):
        Pipeline(Loudness)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_missing_setting_is_named(name):
    kept = {other: value for other, value in SETTINGS.items() if other != name}
    with pytest.raises(ConfigError, match=rf"Mine.config has no {name}; .*ScoringSettings"):
        Pipeline(made(config=SimpleNamespace(**kept)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_thresholds": ()}, r"label_thresholds must hold .* each of the 2 labels, got \(\)"),
        ({"label_medians": 0.5}, "label_medians must hold a number for each of the 2 labels"),
        *(
            ({"label_thresholds": (0.5, wrong)}, "label_thresholds must be .* above 0 .* most 1")
            for wrong in (0.0, 1.5)
        ),
        ({"window_samples": 0}, "window_samples must be an integer of at least 1"),
        ({"window_bytes": 0}, "window_bytes must be an integer of at least 1"),
        ({"hop_seconds": 0}, "hop_seconds must be a number above 0"),
        ({"padding": "edge"}, "padding must be one of 'zero', 'reflect'"),
        ({"activation": "none"}, "activation must be one of 'softmax', 'sigmoid'"),
        ({"unknown_below": 2}, "unknown_below must be a number"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, message):
    with pytest.raises(ConfigError, match=rf"Mine.config.{message}"):
        Pipeline(with_settings(**settings))


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("a", 1), "ab", ["a", "b"], None])
def test_labels_are_distinct_names(labels):
    with pytest.raises(ConfigError, match=r"Mine.labels must be a tuple of distinct strings"):
        Pipeline(made(labels=labels))


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda n: np.zeros((n, 2)), r"gave ndarray, expected a tensor \(batch, n_labels\)"),
        (lambda n: torch.zeros(n, 3), r"gave \(5, 3\) of torch.float32, .* here \(5, 2\)"),
        (lambda n: torch.zeros(2), r"gave \(2,\) of torch.float32, .* here \(5, 2\)"),
        (
            lambda n: torch.zeros(n, 2, dtype=torch.int64),
            r"gave .* of torch.int64, expected floating",
        ),
        (lambda n: torch.full((n, 2), -3.0), "gave scores from -3 to -3, expected prob"),
        (lambda n: torch.full((n, 2), 40.0), "gave scores from 40 to 40, expected prob"),
    ],
)
def test_scores_that_are_none_are_refused_in_clips_and_events(give, message):
    pipe = Pipeline(made(predict=lambda self, waveform: give(len(waveform))))
    with pytest.raises(ShapeError, match=rf"Mine.predict {message}"):
        pipe(CLIP, sample_rate=RATE)
    with pytest.raises(ShapeError, match=rf"Mine.predict {message}"):
        list(pipe.events(CLIP, sample_rate=RATE))


def test_scores_of_frames_are_checked_too():
    frames = {9: None, 10: None, 11: None, 5: "5", 20: "20"}  # of 800 samples; a window has 10
    for n, wrong in frames.items():
        model = made(frame_length=800, frame_scores=lambda self, w, n=n: torch.zeros(len(w), n, 2))
        pipe = Pipeline(model)
        if wrong is None:
            assert not list(pipe.events(CLIP, sample_rate=RATE))
        else:
            with pytest.raises(ShapeError, match=rf"Mine.frame_scores gave \(\d, {wrong}, 2\)"):
                list(pipe.events(CLIP, sample_rate=RATE))


def test_a_score_that_is_rounded_beyond_1_is_no_fault():
    pipe = Pipeline(made(predict=lambda self, w: torch.tensor([1 + 1e-6, -1e-6]).repeat(len(w), 1)))
    assert pipe(CLIP, sample_rate=RATE).label == "loud"
