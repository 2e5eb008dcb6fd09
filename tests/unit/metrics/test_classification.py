from __future__ import annotations

import numpy as np
import pytest

from soundsep.errors import ConfigError, ShapeError
from soundsep.metrics import (
    average_precision,
    calibration_error,
    calibration_floor,
    classification_metrics,
    confusion_matrix,
)
from soundsep.metrics.classification import most_confused


def test_rows_are_targets_and_columns_predictions():
    counts = confusion_matrix([0, 0, 0, 2], [0, 1, 1, 0], n_classes=3)
    assert counts.tolist() == [[1, 2, 0], [0, 0, 0], [1, 0, 0]]
    small = np.array([0, 0, 0, 2], np.uint8)
    assert np.array_equal(confusion_matrix(small, [0, 1, 1, 0], n_classes=3), counts)


def test_figures_by_hand():
    # class 0: 1 of 3 found, 1 of 2 right; class 1: nothing to find, 2 claimed; 2: not found.
    figures = classification_metrics(np.array([[1, 2, 0], [0, 0, 0], [1, 0, 0]]))
    assert figures.accuracy == pytest.approx(1 / 4)
    assert figures.macro_precision == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert figures.macro_recall == pytest.approx((1 / 3 + 0 + 0) / 3)
    assert figures.macro_f1 == pytest.approx((2 / 5 + 0 + 0) / 3)


def test_perfect_predictions_are_1_whatever_classes_are_absent():
    figures = classification_metrics(confusion_matrix([4, 1], [4, 1], n_classes=50))
    assert (figures.accuracy, figures.macro_f1) == (1.0, 1.0)
    assert (figures.macro_precision, figures.macro_recall) == (1.0, 1.0)


def test_mistakes_are_told_from_the_most_frequent_on_and_nothing_else_is():
    confusion = np.array([[9, 1, 0], [3, 9, 1], [0, 0, 0]])
    mistakes = [(3, "b", "a"), (1, "a", "b"), (1, "b", "c")]  # equal ones in the order of labels
    for n in range(5):
        assert most_confused(confusion, "abc", n) == mistakes[:n]
    alike = [(1, a, b) for a in "abcdefgh" for b in "abcdefgh" if a != b]
    assert most_confused(np.ones((8, 8), int), "abcdefgh", 99) == alike


@pytest.mark.parametrize(
    ("targets", "predictions"),
    [
        ([], []),
        (np.array([], int), np.array([], int)),
        ([0, 1], [0]),
        ([[0]], [[0]]),
        ([0, 3], [0, 1]),
        ([0, 1], [0, -1]),
        ([0.0, 1.0], [0, 1]),
        ([0, 1], [True, False]),
    ],
)
def test_wrong_lists_are_refused(targets, predictions):
    with pytest.raises(ShapeError):
        confusion_matrix(targets, predictions, n_classes=3)


@pytest.mark.parametrize(
    "confusion", [np.zeros((3, 3), int), np.ones((2, 3), int), np.ones(4, int), np.eye(2)]
)
def test_wrong_matrices_are_refused(confusion):
    with pytest.raises(ShapeError, match="square matrix of counts"):
        classification_metrics(confusion)


def test_calibration_error_by_hand():
    """Bins are open below and closed above (Guo et al.): 0.5 is in the lower of two."""
    confidences, correct = [0.0, 0.5, 0.9, 0.8], [False, True, False, True]
    lower, upper = abs(0.0 + 0.5 - 1), abs(0.9 + 0.8 - 1)
    error = calibration_error(confidences, correct, n_bins=2)
    assert error == pytest.approx((lower + upper) / 4)
    assert calibration_error(confidences, correct, n_bins=1) == pytest.approx((2.2 - 2) / 4)


def test_calibration_is_measured_in_15_bins():
    for confidences, apart in (([0.066, 0.067], True), ([0.067, 0.13], False)):
        error = calibration_error(confidences, [True, False])
        gaps = confidences[0] - 1, confidences[1]
        assert error == pytest.approx(sum(map(abs, gaps)) / 2 if apart else abs(sum(gaps)) / 2)
        assert error == calibration_error(confidences, [True, False], n_bins=15)


@pytest.mark.parametrize(
    ("confidences", "correct"),
    [
        ([], []),
        ([0.5, 0.5], [True]),
        ([[0.5]], [[True]]),
        ([1.1], [True]),
        ([-0.1], [True]),
        ([np.nan], [True]),
    ],
)
def test_confidences_out_of_range_are_refused(confidences, correct):
    with pytest.raises(ShapeError, match="confidences"):
        calibration_error(confidences, correct)


@pytest.mark.parametrize(
    ("relevant", "scores"),
    [([False, False], [0.1, 0.2]), ([True], [0.1, 0.2]), ([[True]], [[0.1]]), ([True], [np.nan])],
)
def test_rankings_without_an_average_precision_are_refused(relevant, scores):
    with pytest.raises(ShapeError, match="scores"):
        average_precision(relevant, scores)


@pytest.mark.parametrize("relevant", [[True, False, False, True], [False, True, True, False]])
def test_equal_scores_share_one_step_of_a_ranking_whatever_their_order(relevant):
    assert average_precision(relevant, [0.5] * 4) == 0.5
    assert average_precision([*relevant, True], [0.5] * 4 + [0.9]) == (1 + 2 * 3 / 5) / 3


def test_few_answers_look_miscalibrated_even_when_they_are_not():
    assert calibration_floor(np.ones(10)) == 0
    # One bin of 100 answers at .5: the mean of |right - 50| / 100 is sqrt(2 / pi) x .05.
    assert calibration_floor(np.full(100, 0.5)) == pytest.approx(0.0399, abs=0.002)
    assert calibration_floor(np.full(10_000, 0.5)) < 0.006


def test_the_floor_is_that_of_so_many_bins():
    confidences = np.linspace(0.01, 0.99, 50)
    floors = {n: calibration_floor(confidences, n_bins=n, n_draws=100) for n in (1, 10, 15)}
    assert floors[1] < floors[10] < floors[15]  # fewer answers in each
    assert calibration_floor(confidences, n_draws=100) == floors[15]


@pytest.mark.parametrize("wrong", [{"n_bins": 0}, {"n_draws": 0}, {"seed": -1}])
def test_numbers_of_bins_and_draws_are_checked(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        calibration_floor([0.5], **wrong)
