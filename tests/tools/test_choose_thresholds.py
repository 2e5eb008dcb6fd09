"""Thresholds that synthetic noise hardly reaches."""

from __future__ import annotations

import numpy as np

import choose_thresholds
from soundsep.classifier.checks import reaches


def test_a_threshold_lets_one_in_a_hundred_pass() -> None:
    """It is the next twentieth above the score that is one too many."""
    scores = np.zeros((300, 4))
    scores[:3, 0] = 0.9  # three of 300 may reach any threshold
    scores[:4, 1] = (0.9, 0.8, 0.7, 0.62)
    scores[:10, 2] = np.float32(0.65)  # a threshold of 0.65 would be reached
    scores[:10, 3] = 0.6  # a multiple whose quotient is rounded down
    least = choose_thresholds.least_thresholds(scores)
    assert least.tolist() == [0.05, 0.65, 0.7, 0.65]
    assert (reaches(scores, least).sum(axis=0) <= 3).all()
