from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soundsep import AudioError, Classifier, ClassifierConfig, MelConfig, Pipeline
from soundsep.pipeline.mixtures import audible_sources, merge_scores
from soundsep.separator import Separation, Separator, SeparatorConfig

RATE = 8_000
LABELS = ("low", "high", "a", "b", "c")
CONFIG = SeparatorConfig(
    sources=("one", "two", "rest"), sample_rate=RATE, n_channels=1, segment_seconds=1.0
)


class Filter(nn.Module):
    """What is below 1 kHz, what is above, and nothing."""

    def forward(self, mixture: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(mixture)
        cut = 1_000 * spectrum.shape[-1] // (RATE // 2)
        low = spectrum.clone()
        low[..., cut:] = 0
        one = torch.fft.irfft(low, n=mixture.shape[-1])
        return torch.stack((one, mixture - one, 0 * one), dim=1)


class Loudest(Classifier):
    """Sure of a band that holds all of the sound; where both hold some, it could be anything."""

    def predict(self, waveform: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(waveform).abs().square()
        cut = 1_000 * spectrum.shape[-1] // (self.sample_rate // 2)
        parts = torch.stack((spectrum[..., :cut].sum(-1), spectrum[..., cut:].sum(-1)), dim=-1)
        shares = parts / parts.sum(dim=-1, keepdim=True)
        sure = (shares[..., :1] - shares[..., 1:]).abs()
        return torch.cat((sure * shares, ((1 - sure) / 3).expand(*sure.shape[:-1], 3)), dim=-1)


def classifier(sample_rate: int = RATE) -> Loudest:
    frontend = MelConfig(
        sample_rate=sample_rate, n_fft=256, win_length=256, hop_length=128, f_max=4_000.0, n_mels=8
    )
    config = ClassifierConfig(
        labels=LABELS, network="cnn4", frontend=frontend, window_seconds=1.0, hop_seconds=0.5
    )
    return Loudest(config)


def tone(frequency: float, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def test_each_of_two_sounds_is_named_and_where_it_was_heard():
    mixture = 0.3 * tone(300) + 0.25 * tone(2_500)
    alone = Pipeline(classifier())(mixture)
    assert alone.best.score < 0.3
    assert alone.separation is None
    assert alone.best.heard_in is None

    result = Pipeline(classifier(), separator=Separator(Filter(), CONFIG))(mixture)
    assert {p.label: p.heard_in for p in result.top(2)} == {"low": "one", "high": "two"}
    assert [p.score for p in result.top(2)] == pytest.approx([0.5, 0.5], abs=0.02)
    assert "two" in str(result)
    assert "<td>two</td>" in result._repr_html_()
    predictions = json.loads(json.dumps(result.to_dict()))["predictions"]
    assert {p["heard_in"] for p in predictions} == {"one", "two", "mixture"}
    np.testing.assert_allclose(result.separation["two"][0], 0.25 * tone(2_500), atol=0.02)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_the_separator_may_hear_another_rate_than_the_classifier(rate):
    pipe = Pipeline(classifier(rate), separator=Separator(Filter(), CONFIG))
    result = pipe(0.3 * tone(300, rate=rate) + 0.25 * tone(2_500, rate=rate), sample_rate=rate)
    assert {p.label: p.heard_in for p in result.top(2)} == {"low": "one", "high": "two"}
    assert result.separation.sample_rate == RATE


def test_a_list_keeps_order_and_errors_and_by_default_no_audio():
    pipe = Pipeline(classifier(), separator=Separator(Filter(), CONFIG))
    clips = [0.1 * tone(300), np.zeros(RATE), 0.1 * tone(2_500, seconds=3.2)]
    results = pipe(clips, errors="return", batch_size=2)
    assert [r.error is None for r in results] == [True, False, True]
    assert [results[0].label, results[2].label] == ["low", "high"]
    assert all(r.separation is None for r in results)
    assert pipe([clips[2]], keep_sources=True)[0].separation is not None
    assert pipe(clips[2], keep_sources=False).separation is None
    for clip, together in zip((clips[0], clips[2]), (results[0], results[2]), strict=True):
        assert pipe(clip) == together
    with pytest.raises(AudioError, match="silence"):
        pipe(clips)


def test_near_silent_sources_are_not_heard():
    sound = torch.tensor([1.0, -1.0]).repeat(1, 50)
    audio = torch.stack([sound, 0.08 * sound + 0.5, torch.zeros(1, 100)])  # no offset is a sound
    separation = Separation(
        sources=("loud", "faint", "none"), audio=audio, sample_rate=RATE, mixture=audio.sum(dim=0)
    )
    assert list(audible_sources(separation, RATE)) == ["loud"]
    assert audible_sources(separation, 2 * RATE)["loud"].shape == (200,)


@pytest.mark.parametrize(("gain", "is_heard"), [(0.12, True), (0.1, False)])
def test_a_source_is_heard_from_20_db_below_the_mixture_on(gain, is_heard):
    """Beside a sound of 1, the mixture has 1 + gain: these are 19.4 and 20.8 dB below it."""
    sound = torch.tensor([1.0, -1.0]).repeat(1, 50)
    audio = torch.stack([sound, gain * sound])
    separation = Separation(
        sources=("loud", "faint"), audio=audio, sample_rate=RATE, mixture=audio.sum(dim=0)
    )
    assert ("faint" in audible_sources(separation, RATE)) == is_heard


def test_a_source_that_cancels_in_mono_is_not_heard():
    sound = torch.tensor([1.0, -1.0]).repeat(1, 50)
    audio = torch.stack([sound.expand(2, 100), torch.tensor([[0.5], [-0.5]]) * sound])
    separation = Separation(
        sources=("same", "opposite"), audio=audio, sample_rate=RATE, mixture=audio.sum(dim=0)
    )
    assert list(audible_sources(separation, RATE)) == ["same"]


def test_silence_has_no_sources():
    audio = torch.zeros(2, 1, 100)
    separation = Separation(
        sources=("a", "b"), audio=audio, sample_rate=RATE, mixture=audio.sum(dim=0)
    )
    assert audible_sources(separation, RATE) == {}


def test_sources_count_half_and_of_equal_scores_the_first():
    heard = torch.tensor([[0.5, 0.2], [0.6, 0.7], [0.1, 0.7]])
    scores, where = merge_scores(heard)
    assert scores.tolist() == pytest.approx([0.5, 0.5 * 0.7])
    assert where.tolist() == [0, 1]
    scores, where = merge_scores(heard, source_weight=1.0)
    assert scores.tolist() == pytest.approx([0.6, 0.7])
    assert where.tolist() == [1, 1]


def test_what_is_heard_clearly_in_a_source_is_known():
    model = classifier()
    model.config = model.config.replace(unknown_below=0.9)
    mixture = 0.3 * tone(300) + 0.25 * tone(2_500)
    assert Pipeline(model, unknown=True)(mixture).label is None
    separator = Separator(Filter(), CONFIG)
    assert Pipeline(model, separator=separator, unknown=True)(mixture).label in LABELS


def test_the_separator_hears_the_recording_and_not_what_the_classifier_would():
    class Sides(nn.Module):
        """The left channel from both sides, and the right one."""

        def forward(self, mixture: Tensor) -> Tensor:
            return torch.stack([mixture[:, [i, i]] for i in (0, 1)], dim=1)

    config = CONFIG.replace(sources=("left", "right"), n_channels=2, sample_rate=44_100)
    pipe = Pipeline(classifier(), separator=Separator(Sides(), config))
    left, right = (tone(f, rate=44_100) for f in (300, 15_000))
    sources = pipe(np.stack([left, right]), sample_rate=44_100).separation
    np.testing.assert_allclose(sources["left"][0], left, atol=1e-5)
    np.testing.assert_allclose(sources["right"][1], right, atol=1e-5)


def test_a_recording_that_the_separator_fails_on_costs_the_others_nothing():
    class Fragile(Filter):
        def forward(self, mixture: Tensor) -> Tensor:
            return super().forward(mixture) / (mixture.abs().max() < 0.5)

    pipe = Pipeline(classifier(), separator=Separator(Fragile(), CONFIG))
    results = pipe([0.1 * tone(300), 0.9 * tone(300), 0.1 * tone(300)], errors="return")
    assert ["NaN" in str(r.error) for r in results] == [False, True, False]
    assert results[0].label == results[2].label == "low"


def test_sources_below_the_silence_asked_for_are_not_heard():
    mixture = 0.3 * tone(300) + 0.05 * tone(2_500)  # about -13 and -29 dBFS
    heard = [
        {p.heard_in for p in Pipeline(classifier(), separator=s, silence_db=db)(mixture).top(5)}
        for db in (-60.0, -20.0)
        for s in [Separator(Filter(), CONFIG)]
    ]
    assert ["two" in names for names in heard] == [True, False]
