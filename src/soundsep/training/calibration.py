"""Calibration: temperatures and offsets of logits, so that scores are probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from soundsep.classifier import Classifier
from soundsep.classifier.scoring import score_waveforms
from soundsep.errors import ShapeError

__all__ = ["Calibration", "fit_sigmoid", "fit_temperature", "held_out_temperature"]

RANGE = (0.05, 20.0)


class Calibration(NamedTuple):
    """Calibrated logits are ``(logits + offset) / temperature``.

    Attributes:
        temperature: Divisor of the logits.
        offset: Added to the logits before.
    """

    temperature: float = 1.0
    offset: float = 0.0


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature that makes the targets of held-out clips most likely.

    A few clips that are all right would call for scores of 1. Therefore, with ``n`` clips, the
    target of the right class is ``(n + 1) / (n + 2)``, and the others share the rest, as proposed
    by Platt.

    Args:
        logits: Logits of clips that the model was not trained on.
        targets: Index of the class of each clip.

    Shape:
        logits: (n, n_classes), at least two classes. targets: (n,).

    Returns:
        The temperature, 0.05 to 20; above 1 for an overconfident model.

    Raises:
        ShapeError: there are no clips, fewer than two classes, or the two differ in length.

    References:
        Guo et al. (2017), "On calibration of modern neural networks", ICML, section 4.2.
        Platt (1999), "Probabilistic outputs for support vector machines", section 2.2.

    Examples:
        >>> unsure = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
        >>> fit_temperature(unsure, torch.tensor([0, 0, 0, 1])) > 1
        True
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1] or min(logits.shape) < 1:
        raise ShapeError(
            "expected logits (n, n_classes) and targets (n,) of at least one clip, got "
            f"{tuple(logits.shape)} and {tuple(targets.shape)}"
        )
    n, n_classes = logits.shape
    if n_classes < 2:
        raise ShapeError("a temperature needs at least two classes")
    # It takes a third of a second to import, and most programs never need it.
    from scipy.optimize import minimize_scalar

    rest = 1 / (n + 2)
    wanted = torch.full((n, n_classes), rest / (n_classes - 1), dtype=torch.float64)
    wanted[torch.arange(n), targets] = 1 - rest
    exact = logits.double()

    def loss(log_temperature: float) -> float:
        scores = (exact / math.exp(log_temperature)).log_softmax(dim=1)
        return -float((wanted * scores).sum(dim=1).mean())

    bounds = tuple(math.log(limit) for limit in RANGE)
    best = minimize_scalar(loss, bounds=bounds, method="bounded")
    return min(max(math.exp(float(best.x)), RANGE[0]), RANGE[1])


def fit_sigmoid(
    logits: Tensor,
    targets: Tensor,
    absent: Tensor | None = None,
    *,
    unsure: Tensor | None = None,
) -> Calibration:
    """The calibration of sigmoid scores that makes the targets of held-out clips most likely.

    It is common to all labels. As in `fit_temperature`, targets are not quite 0 and 1.

    Args:
        logits: Logits of clips that the model was not trained on.
        targets: Index of a label of each clip.
        absent: Logits of audio without any label; together they count as much as all clips.
        unsure: Classes that a clip may also hold, and whose scores it says nothing about.

    Shape:
        logits: (n, n_classes), at least one clip. targets: (n,). absent: (n_absent, n_classes).
        unsure: (n, n_classes), bool.

    References:
        Platt (1999), "Probabilistic outputs for support vector machines", section 2.2.

    Examples:
        >>> low = torch.tensor([[-1.0, -5.0], [-5.0, -1.0], [-1.0, -5.0], [-5.0, -1.0]])
        >>> calibration = fit_sigmoid(low, torch.tensor([0, 1, 0, 1]))
        >>> 2 < calibration.offset < 4  # between the two
        True
    """
    from scipy.optimize import minimize

    n, n_classes = logits.shape
    exact, weight = logits.double(), torch.ones(n, n_classes, dtype=torch.float64)
    if unsure is not None:
        weight.masked_fill_(unsure, 0.0)
    is_there = torch.nn.functional.one_hot(targets, n_classes).bool()
    if absent is not None and len(absent):
        exact = torch.cat([exact, absent.double()])
        weight = torch.cat([weight, weight.new_full(absent.shape, n / len(absent))])
        is_there = torch.cat([is_there, is_there.new_zeros(absent.shape)])
    n_there, n_absent = (float(weight[which].sum()) for which in (is_there, ~is_there))
    wanted = torch.full_like(weight, 1 / (n_absent + 2))
    wanted[is_there] = (n_there + 1) / (n_there + 2)

    def loss(parameters: Sequence[float]) -> float:
        log_temperature, offset = parameters
        scaled = (exact + offset) / math.exp(log_temperature)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(scaled, wanted, weight=weight)
        return float(losses)

    limits = tuple(math.log(limit) for limit in RANGE)
    best = minimize(loss, (0.0, 0.0), method="Nelder-Mead", bounds=[limits, (-50.0, 50.0)])
    return Calibration(math.exp(float(best.x[0])), float(best.x[1]))


def held_out_temperature(classifier: Classifier, examples: Sequence[tuple[Tensor, int]]) -> float:
    """The temperature of a classifier, from clips that it was not trained on.

    Args:
        classifier: Classifier with temperature 1.
        examples: Waveform (time,) at the classifier's rate, and index of its class.

    Raises:
        ShapeError: there are no examples.
    """
    keyed = ((target, waveform) for waveform, target in examples)
    scored = [*score_waveforms(classifier, keyed, batch_size=16)]
    if not scored:
        raise ShapeError("there are no clips to take a temperature from")
    # Windows are averaged as scores, so the logarithm of these serves as logits.
    logits = torch.stack([scores for _, scores in scored]).clamp(min=1e-30).log()
    return fit_temperature(logits, torch.tensor([target for target, _ in scored]))
