from __future__ import annotations

import math

import pytest
import torch

from soundsep.errors import ShapeError
from soundsep.training.calibration import fit_sigmoid, fit_temperature


@pytest.mark.parametrize("true_temperature", [0.2, 1.0, 5.0])
def test_the_temperature_that_drew_the_answers_is_found(true_temperature):
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 4, generator=rng) * 2
    scores = (logits / true_temperature).softmax(dim=1)
    targets = torch.multinomial(scores, 1, generator=rng)[:, 0]
    assert fit_temperature(logits, targets) == pytest.approx(true_temperature, rel=0.05)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_few_right_answers_do_not_make_it_sure(n_classes):
    logits = torch.eye(n_classes).repeat(4, 1)
    n = len(logits)
    temperature = fit_temperature(logits, torch.arange(n) % n_classes)
    score = float((logits / temperature).softmax(dim=1).amax())
    assert score == pytest.approx((n + 1) / (n + 2), abs=1e-3)


def test_one_right_answer_is_enough_for_a_temperature():
    temperature = fit_temperature(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    assert temperature == pytest.approx(1 / math.log(2), rel=1e-3)  # its score is 2 / 3


@pytest.mark.parametrize("n_absent", [4, 400])
def test_with_sigmoid_a_few_right_answers_do_not_make_it_sure_either(n_absent):
    """Whatever there is of noise counts as much as the four clips."""
    there, absent = torch.full((4, 1), 3.0), torch.full((n_absent, 1), -3.0)
    calibration = fit_sigmoid(there, torch.zeros(4, dtype=torch.int64), absent)
    for logits, score in ((there, 5 / 6), (absent, 1 / 6)):
        found = ((logits + calibration.offset) / calibration.temperature).sigmoid()
        assert float(found[0]) == pytest.approx(score, abs=1e-3)


def test_no_noise_is_no_evidence():
    logits, targets = torch.eye(2).repeat(4, 1), torch.tensor([0, 1] * 4)
    assert fit_sigmoid(logits, targets, torch.zeros(0, 2)) == fit_sigmoid(logits, targets)


def test_answers_that_are_worse_than_chance_give_the_highest_temperature():
    targets = torch.tensor([1, 0])
    assert fit_temperature(torch.eye(2), targets) == pytest.approx(20, rel=1e-3)
    calibration = fit_sigmoid(torch.eye(2), targets)
    assert calibration == pytest.approx((20, -0.5), rel=1e-3)  # the offset is between the two


@pytest.mark.parametrize(
    ("logits", "targets"),
    [
        (torch.zeros(0, 2), torch.zeros(0)),
        (torch.zeros(3, 1), torch.zeros(3)),
        (torch.zeros(3, 2), torch.zeros(2)),
        (torch.zeros(3), torch.zeros(3)),
    ],
)
def test_what_does_not_fit_is_refused(logits, targets):
    with pytest.raises(ShapeError):
        fit_temperature(logits, targets.long())


def test_other_sounds_of_a_clip_do_not_count_as_absent():
    rng = torch.Generator().manual_seed(0)
    targets = torch.arange(200) % 4
    is_target = torch.nn.functional.one_hot(targets, 4).bool()
    present = is_target | (torch.rand(200, 4, generator=rng) < 0.4)
    logits = torch.where(present, 3.0, -3.0) + torch.randn(200, 4, generator=rng)
    noise = torch.randn(50, 4, generator=rng) - 3
    calibration = fit_sigmoid(logits, targets, noise, unsure=present & ~is_target)
    scores = ((logits + calibration.offset) / calibration.temperature).sigmoid()
    assert scores[present].mean() > 0.9
    assert scores[~present].mean() < 0.1
    others = torch.where(present & ~is_target, -9.0, logits)
    assert fit_sigmoid(others, targets, noise, unsure=present & ~is_target) == calibration


def test_noise_is_absent_even_where_clips_may_hold_every_label():
    targets = torch.arange(40) % 2
    logits = torch.full((40, 2), 3.0)
    noise = torch.full((10, 2), -3.0)
    others = ~torch.nn.functional.one_hot(targets, 2).bool()
    calibration = fit_sigmoid(logits, targets, noise, unsure=others)
    scores = ((noise + calibration.offset) / calibration.temperature).sigmoid()
    # As if all 80 scores of clips were once more those of noise.
    assert float(scores.max()) == pytest.approx(1 / 82, rel=0.05)
