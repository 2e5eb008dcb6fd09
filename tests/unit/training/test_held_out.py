from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from soundsep import Classifier, ClassifierConfig, MelConfig
from soundsep.errors import ShapeError
from soundsep.training.calibration import held_out_temperature
from soundsep.training.held_out import held_out_metrics

RATE = 16_000


class First(Classifier):
    """The first sample of a window is the score of "a"; "b" has the rest."""

    def predict(self, waveform: Tensor) -> Tensor:
        assert not self.training
        return torch.stack((waveform[:, 0], 1 - waveform[:, 0]), dim=1)


@pytest.fixture(scope="module")
def model() -> First:
    config = ClassifierConfig(
        labels=("a", "b"),
        network="cnn4",
        frontend=MelConfig(n_mels=16),
        window_seconds=1.0,
        hop_seconds=1.0,
    )
    return First(config)


def clip(score: float) -> Tensor:
    waveform = torch.zeros(RATE)
    waveform[0] = score
    return waveform


@pytest.mark.parametrize("training", [True, False])
def test_metrics_by_hand_and_the_mode_is_kept(model, training):
    model.train(training)
    metrics = held_out_metrics(model, [(clip(0.9), 0), (clip(0.2), 0), (clip(0.3), 1)])
    assert model.training == training
    # Of "a" one of two is found, and "b" is named twice, once rightly.
    assert metrics == pytest.approx(
        {
            "held_out_loss": -(math.log(0.9) + math.log(0.2) + math.log(0.7)) / 3,
            "held_out_accuracy": 2 / 3,
            "held_out_macro_precision": (1 + 1 / 2) / 2,
            "held_out_macro_recall": (1 / 2 + 1) / 2,
            "held_out_macro_f1": 2 / 3,
        },
        abs=1e-6,
    )


def test_a_score_of_0_for_what_is_true_is_no_infinite_loss(model):
    loss = held_out_metrics(model, [(clip(1.0), 1)])["held_out_loss"]
    assert loss == pytest.approx(-math.log(1e-30), rel=1e-3)


def test_a_model_that_is_too_sure_gets_the_score_that_it_deserves(model):
    """With a score of 0.99 it is right in 30 clips of 40; Platt's targets add one to each side."""
    examples = [(clip(0.99), 0)] * 30 + [(clip(0.99), 1)] * 10
    temperature = held_out_temperature(model, examples)
    score = torch.tensor([0.99, 0.01]).log().div(temperature).softmax(dim=0)[0]
    assert float(score) == pytest.approx((30 * 41 + 10) / (40 * 42), abs=1e-3)
    # A score of 0 has no logarithm, and counts as 1e-30. Of 3 clips 2 are right, and of 99 all,
    # which asks for scores of 100 to 1.
    certain = held_out_temperature(model, [(clip(1.0), 0), (clip(1.0), 0), (clip(1.0), 1)])
    assert certain == pytest.approx(20, rel=1e-3)
    right = held_out_temperature(model, [(clip(1.0), 0)] * 99)
    assert right == pytest.approx(30 * math.log(10) / math.log(100), rel=1e-3)
    with pytest.raises(ShapeError, match="no clips"):
        held_out_temperature(model, [])
