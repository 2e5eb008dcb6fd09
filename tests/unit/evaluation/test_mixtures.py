from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from soundsep import Classifier, ClassifierConfig, ConfigError, MelConfig
from soundsep.datasets import MixtureConfig, Mixtures
from soundsep.errors import DatasetError
from soundsep.evaluation.mixtures import (
    NamingMetrics,
    SeparationMetrics,
    measure_naming,
    measure_separation,
)
from soundsep.metrics import average_precision
from soundsep.separator import Separator, SeparatorConfig

RATE = 2_000


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn_ties_included(seed):
    rng = np.random.default_rng(seed)
    relevant, scores = rng.random(60) < 0.3, rng.integers(0, 12, 60) / 12
    assert average_precision(relevant, scores) == pytest.approx(
        average_precision_score(relevant, scores)
    )


def test_figures_of_answers_counted_by_hand():
    scores = [[0.9, 0.8, 0.1], [0.9, 0.2, 0.5], [0.3, 0.9, 0.1]]
    figures = NamingMetrics.of(scores, [(0, 1), (1, 2), (2, 0)])
    assert figures.n_mixtures == 3
    assert figures.all_found == pytest.approx(1 / 3)
    assert figures.one_found == pytest.approx(1 / 3)
    # found at ranks 2 and 3 (a tie), 2 and 3, 1 and 3 (a tie)
    first, second, third = (1 / 2 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2, (1 + 2 / 3) / 2
    assert figures.mean_average_precision == pytest.approx((first + second + third) / 3)
    assert figures.to_dict() == {
        "n_mixtures": 3,
        "all_found": 0.333333,
        "one_found": 0.333333,
        "mean_average_precision": 0.666667,
    }


class Half(nn.Module):
    """Splits at a quarter of the rate, and gives the two in the other order than they came."""

    def forward(self, mixture: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(mixture)
        spectrum[..., : spectrum.shape[-1] // 2] = 0
        high = torch.fft.irfft(spectrum, n=mixture.shape[-1])
        return torch.stack((high, mixture - high), dim=1)


def mixtures(seconds: float = 1.0) -> Mixtures:
    time = torch.arange(RATE) / RATE
    examples = [
        (0.2 * torch.sin(6.2832 * f * time), target)
        for target, frequencies in enumerate(((100.0, 150.0), (700.0, 800.0)))
        for f in frequencies
    ]
    config = MixtureConfig(sample_rate=RATE, seconds=seconds)
    return Mixtures(examples, n_mixtures=12, config=config)


def separator(**changes) -> Separator:
    config = {"sources": ("a", "b"), "sample_rate": RATE, "n_channels": 1, "segment_seconds": 1.0}
    return Separator(Half(), SeparatorConfig(**(config | changes)))


@pytest.mark.filterwarnings("error")  # the rate of the mixtures is no guess
def test_a_separator_that_does_it_right_and_what_is_written_of_it():
    figures = measure_separation(separator(), mixtures(), progress=False)
    assert figures.improvements.shape == (12, 2)
    assert figures.improvements.min() > 20
    told = figures.to_dict(("low", "high"))
    assert told["n_mixtures"] == 12
    assert told["share_of_mixtures_made_worse"] == 0
    assert told["best_pairs"] == told["worst_pairs"]
    assert told["best_pairs"][0][0] == "low + high"
    assert told["si_sdr_improvement_mean_db"] == pytest.approx(
        figures.improvements.mean(), abs=1e-3
    )
    improved = f"SI-SDR improved by {figures.improvements.mean():.2f} dB"
    assert repr(figures) == f"SeparationMetrics(12 mixtures of 2 sources, {improved})"


class Same(nn.Module):
    def forward(self, mixture: Tensor) -> Tensor:
        return torch.stack((mixture, mixture), dim=1)


def test_a_separator_that_does_nothing_improves_nothing():
    """The mixture itself is no 0 dB: one of the two sounds is louder."""
    figures = measure_separation(Separator(Same(), separator().config), mixtures(), progress=False)
    assert figures.improvements == pytest.approx(np.zeros((12, 2)), abs=1e-3)


class OnlyHigh(Half):
    """Gives the high sound alone, and in place of the other one the mixture."""

    def forward(self, mixture: Tensor) -> Tensor:
        high = super().forward(mixture)[:, 0]
        return torch.stack((high, mixture), dim=1)


def test_what_is_gained_counts_for_the_class_of_the_source_that_gained():
    only_high = Separator(OnlyHigh(), separator().config)
    found = measure_separation(only_high, mixtures(), progress=False)
    assert {tuple(targets) for targets in found.targets.tolist()} == {(0, 1), (1, 0)}
    by_class = found.by_class()
    assert by_class[0] == pytest.approx(0, abs=1e-3)
    assert by_class[1] > 20


def test_the_time_it_took_is_told_per_second_of_sound(monkeypatch):
    ticks = itertools.count(100.0, 0.5)  # half a second for each separation, and between them
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    figures = measure_separation(separator(), mixtures(2.0), progress=False)
    assert figures.seconds_per_second == 0.25


def test_classes_and_pairs_by_hand():
    figures = SeparationMetrics(
        improvements=np.array([[1.0, 3.0], [5.0, -7.0], [2.0, 2.0], [0.0, 0.0]]),
        targets=np.array([[0, 1], [1, 0], [2, 0], [2, 1]]),
        seconds_per_second=0.25,
    )
    classes = [(1, pytest.approx(8 / 3)), (2, 1.0), (0, pytest.approx(-4 / 3))]
    assert list(figures.by_class().items()) == classes
    assert list(figures.by_pair().items()) == [((0, 2), 2.0), ((0, 1), 0.5), ((1, 2), 0.0)]
    assert figures.to_dict(("dog", "rain", "siren"), n_extremes=2) == {
        "n_mixtures": 4,
        "si_sdr_improvement_mean_db": 0.75,
        "si_sdr_improvement_median_db": 1.0,
        "share_of_mixtures_made_worse": 0.25,
        "seconds_per_second": 0.25,
        "best_classes": [("rain", 2.67), ("siren", 1.0)],
        "worst_classes": [("dog", -1.33), ("siren", 1.0)],
        "best_pairs": [("dog + siren", 2.0), ("dog + rain", 0.5)],
        "worst_pairs": [("rain + siren", 0.0), ("dog + rain", 0.5)],
    }


class Alone(Classifier):
    """Sure of a tone that sounds alone, and takes two at once for a third sound."""

    def predict(self, waveform: Tensor) -> Tensor:
        power = torch.fft.rfft(waveform).abs().square()
        low = power[:, : power.shape[1] // 2].sum(dim=1) / power.sum(dim=1)
        alone = torch.stack((low, 1 - low, 0 * low), dim=1)
        is_mixed = (low > 0.01) & (low < 0.99)
        return torch.where(is_mixed[:, None], torch.tensor([0.3, 0.3, 0.4]), alone)


def test_sources_are_named_where_the_mixture_is_taken_for_something_else():
    frontend = MelConfig(sample_rate=RATE, f_max=1_000, n_mels=8, n_fft=256, win_length=200)
    labels = ("low", "high", "both")
    config = ClassifierConfig(
        labels=labels, network="cnn4", frontend=frontend, window_seconds=0.5, hop_seconds=0.5
    )
    for options, share in [
        ({}, 0),
        ({"separator": separator()}, 1),
        ({"use_true_sources": True}, 1),
    ]:
        figures = measure_naming(Alone(config), mixtures(), progress=False, **options)
        assert figures.n_mixtures == 12
        assert (figures.all_found, figures.one_found) == (share, share), options
    none = Mixtures(mixtures().examples, n_mixtures=0, config=mixtures().config)
    with pytest.raises(DatasetError, match="no mixtures to name"):
        measure_naming(Alone(config), none, progress=False)


def test_of_another_rate_or_number_of_sources_it_cannot_be_told():
    with pytest.raises(ConfigError, match="2 sources at 2000 Hz"):
        measure_separation(separator(sample_rate=4_000), mixtures(), progress=False)
    with pytest.raises(ConfigError, match="true sources"):
        measure_naming(None, mixtures(), separator=separator(), use_true_sources=True)


def test_no_mixtures_are_refused():
    none = Mixtures(mixtures().examples, n_mixtures=0, config=mixtures().config)
    with pytest.raises(DatasetError, match="no mixtures to separate"):
        measure_separation(separator(), none, progress=False)
