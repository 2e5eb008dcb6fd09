"""How often a recording is cut, and who may score it."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soundsep import Classifier, ClassifierConfig, ConfigError, MelConfig, Pipeline
from soundsep.classifier import ClassifierLike, audible
from soundsep.classifier.scoring import score_windows
from soundsep.pipeline.hearing import hear
from soundsep.separator import Separator, SeparatorConfig

RATE = 8_000
SOURCES = ("left", "right", "none")


class Halves(nn.Module):
    """The first half, the second half, and nothing."""

    def forward(self, mixture: Tensor) -> Tensor:
        first = mixture.clone()
        first[..., mixture.shape[-1] // 2 :] = 0
        return torch.stack((first, mixture - first, 0 * mixture), dim=1)


class Loud:
    """No network, but what a pipeline asks for: one label for loud and one for soft sound."""

    labels = ("loud", "soft")
    sample_rate = RATE
    frame_length = None

    def __init__(self, **settings: object) -> None:
        plain = {
            "window_seconds": 1.0,
            "hop_seconds": 0.5,
            "window_samples": RATE,
            "hop_samples": RATE // 2,
            "min_samples": 80,
            "window_bytes": 1,
            "padding": "zero",
            "activation": "softmax",
            "unknown_below": None,
            "label_thresholds": (0.5, 0.5),
            "label_medians": (0.0, 0.0),
        }
        self.config = SimpleNamespace(**(plain | settings))

    def predict(self, waveform: Tensor) -> Tensor:
        loud = waveform.abs().amax(dim=1).clamp(max=1.0)
        return torch.stack((loud, 1 - loud), dim=1)

    def frame_scores(self, waveform: Tensor) -> Tensor:
        raise AssertionError("it has no frames")


def sound(seconds: float, gain: float = 0.5) -> np.ndarray:
    return gain * np.sin(np.arange(round(RATE * seconds)))


@pytest.fixture
def counts(monkeypatch) -> Counter[str]:
    """How often recordings and sources are cut into windows, and are asked for silence."""
    found: Counter[str] = Counter()
    for name in ("split_windows", "is_silent"):
        original = getattr(audible, name)

        def counted(*args, _original=original, _name=name, **options):
            found[_name] += 1
            return _original(*args, **options)

        monkeypatch.setattr(audible, name, counted)
    return found


def separator() -> Separator:
    config = SeparatorConfig(
        sources=SOURCES, sample_rate=RATE, n_channels=1, segment_seconds=2.0, overlap=0.0
    )
    return Separator(Halves(), config)


@pytest.mark.parametrize("silence_db", [None, -60.0])
def test_a_recording_and_each_of_its_sources_are_cut_once(counts, silence_db):
    pipe = Pipeline(Loud(), separator=separator(), silence_db=silence_db)
    result = pipe(sound(2.0, gain=0.9), sample_rate=RATE)
    assert result.label == "loud"
    # The recording and two sources, of three windows each; the third source is near silence.
    assert counts == {"split_windows": 3, "is_silent": 9}
    counts.clear()
    plain = Pipeline(Loud(), silence_db=silence_db)
    plain([sound(2.0), sound(0.5)], sample_rate=RATE)
    assert counts == {"split_windows": 2, "is_silent": 4}


def test_what_is_too_soft_is_cut_once_and_neither_separated_nor_scored(counts, monkeypatch):
    pipe = Pipeline(Loud(), separator=separator(), silence_db=-60.0)
    monkeypatch.setattr(Separator, "__call__", None)
    monkeypatch.setattr(Loud, "predict", None)
    result = pipe(sound(2.0, gain=1e-5), sample_rate=RATE)
    assert (result.label, result.is_known, result.predictions) == (None, False, ())
    assert counts == {"split_windows": 1, "is_silent": 3}


def test_whatever_scores_makes_a_pipeline():
    model: ClassifierLike = Loud()
    pipe = Pipeline(model)
    assert repr(pipe) == "Pipeline(Loud, 2 labels, 8000 Hz)"
    result = pipe(sound(2.0, gain=0.25), sample_rate=RATE)
    assert result.predictions[0].label == "soft"
    assert result.score == pytest.approx(0.75, abs=1e-3)
    quiet_then_loud = np.concatenate([sound(3.0, gain=0.01), sound(3.0, gain=0.9)])
    events = [e for e in pipe.events(quiet_then_loud, sample_rate=RATE) if e.label == "loud"]
    assert [e.start_seconds for e in events] == [pytest.approx(3.0, abs=0.5)]
    assert pipe.scores(quiet_then_loud, sample_rate=RATE)["loud"].max() == pytest.approx(
        0.9, abs=0.01
    )
    with pytest.raises(ConfigError, match="Loud is not a torch module"):
        Pipeline(Loud(), device="cuda")
    with pytest.raises(ConfigError, match="unknown_below"):
        Pipeline(Loud(), unknown=True)
    strict = Pipeline(Loud(unknown_below=0.8), unknown=True)
    assert strict(sound(2.0, gain=0.25), sample_rate=RATE).label is None


def test_sigmoid_and_thresholds_are_those_of_the_settings():
    model = Loud(activation="sigmoid", label_thresholds=(0.2, 0.8))
    quiet_then_loud = np.concatenate([sound(2.0, gain=0.1), sound(2.0, gain=0.5)])
    result = Pipeline(model)(quiet_then_loud, sample_rate=RATE)
    assert result.labels == ("soft", "loud")  # the highest of each: 0.9 and 0.5


def test_what_may_name_nothing_leaves_the_unknown_unnamed_anyway():
    model = Loud(activation="sigmoid", label_thresholds=(0.95, 0.8))
    for unknown in (False, True):
        pipe = Pipeline(model, unknown=unknown)
        result = pipe(sound(2.0, gain=0.25), sample_rate=RATE)
        assert (result.label, result.labels, result.is_known) == (None, (), False)
        assert list(pipe.events(sound(2.0, gain=0.25), sample_rate=RATE)) == []


def test_a_class_of_ones_own_may_ask_for_a_level():
    soft = sound(2.0, gain=0.01)
    assert Pipeline(Loud())(soft, sample_rate=RATE).label == "soft"
    pipe = Pipeline(Loud(clip_level_db=0.0))
    assert pipe(soft, sample_rate=RATE).label == "loud"
    assert pipe.scores(soft, sample_rate=RATE)["loud"].max() == pytest.approx(0.01, abs=1e-3)


def test_sources_are_raised_with_their_recording_and_keep_their_levels():
    audio = np.concatenate([sound(1.0, gain=0.01), sound(1.0, gain=0.003)])
    options = {"silence_db": None, "sample_rate": RATE, "channel": None}
    heard = hear(audio, Loud(clip_level_db=-20.0), separator=separator(), **options)
    peaks = {name: float(torch.stack(cut).abs().max()) for name, cut in heard.windows.items()}
    assert peaks["mixture"] > 0.05
    assert peaks["left"] == pytest.approx(peaks["mixture"], rel=1e-3)
    assert peaks["right"] == pytest.approx(0.3 * peaks["mixture"], rel=1e-2)


def test_of_a_channel_alone_the_sources_are_heard():
    stereo = np.stack([sound(2.0, gain=0.9), sound(2.0, gain=0.1)])
    for parts in (None, separator()):
        pipe = Pipeline(Loud(), separator=parts)
        found = [pipe(stereo, sample_rate=RATE, channel=channel) for channel in (0, 1)]
        assert [result.label for result in found] == ["loud", "soft"]
    np.testing.assert_allclose(found[1].separation.mixture[0], stereo[1], atol=1e-6)


def test_scores_come_with_their_keys_and_none_for_no_windows():
    windows = [("a", [torch.full((RATE,), 0.25)]), ("b", []), ("a", [torch.full((RATE,), 0.5)] * 3)]
    scored = [(key, s.tolist()) for key, s in score_windows(Loud(), windows, batch_size=2)]
    assert scored == [("a", [0.25, 0.75]), ("b", []), ("a", [0.5, 0.5])]


def test_settings_in_samples():
    config = ClassifierConfig(
        labels=("a",),
        network="cnn4",
        frontend=MelConfig(sample_rate=RATE, n_fft=256, win_length=256, f_max=4_000.0),
        window_seconds=0.99999,
        hop_seconds=0.30001,
    )
    assert (config.window_samples, config.hop_samples, config.min_samples) == (8_000, 2_400, 256)
    assert isinstance(Classifier(config).config.window_bytes, int)
