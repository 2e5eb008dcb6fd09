"""A head for frames or windows that learns every label by itself, and the absence of all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soundsep.classifier import Classifier
from soundsep.errors import DatasetError
from soundsep.models import ATTENTION, HEAD, FrameNetwork
from soundsep.training.optimizers import new_solver
from soundsep.training.probe import with_layers

__all__ = ["NOTHING", "frame_probe", "with_frame_head"]

NOTHING = -1  # target of a row without any label
L2 = 1e-3  # weight of the squared weights, as in `linear_probe`


def frame_probe(
    rows: Tensor,
    targets: Tensor,
    *,
    n_classes: int,
    unsure: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A logistic regression for every class, with an L2 penalty and without randomness.

    Every class has the same weight, however many rows it has, and so has `NOTHING`.

    Args:
        rows: Embeddings of frames or windows.
        targets: Index of the class of each row, or `NOTHING`.
        n_classes: Number of classes.
        unsure: Classes that a row may also hold, and about which it teaches nothing.

    Shape:
        rows: (n, embedding_dim). targets: (n,). unsure: (n, n_classes), bool. Returns weight
        (n_classes, embedding_dim) and bias (n_classes,), for embeddings as they are.

    Raises:
        DatasetError: there are no rows.
    """
    if len(rows) == 0:
        raise DatasetError("there is nothing to learn from")
    mean = rows.mean(dim=0)
    scale = rows.std(dim=0, correction=0)
    scale = scale.clamp(min=1e-3 * float(scale.max()) + 1e-12)
    x = (rows - mean) / scale
    counts = torch.bincount(targets + 1, minlength=n_classes + 1).clamp(min=1)
    row_weight = (1 / counts)[targets + 1] / (n_classes + 1)
    wanted = nn.functional.one_hot(targets + 1, n_classes + 1)[:, 1:].float()
    weight = torch.zeros(n_classes, x.shape[1], requires_grad=True)
    bias = torch.full((n_classes,), -2.0, requires_grad=True)
    solver = new_solver([weight, bias], max_iter=200, tolerance=1e-6)

    def closure() -> Tensor:
        solver.zero_grad()
        losses = nn.functional.binary_cross_entropy_with_logits(
            x @ weight.T + bias, wanted, reduction="none"
        )
        if unsure is not None:
            losses = losses.masked_fill(unsure, 0.0)
        loss = (losses.sum(dim=1) * row_weight).sum() + L2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        return loss

    with torch.enable_grad():
        solver.step(closure)  # type: ignore[no-untyped-call]
    raw = weight.detach() / scale
    return raw, bias.detach() - raw @ mean


def with_frame_head(
    backbone: Classifier, labels: Sequence[str], weight: Tensor, bias: Tensor
) -> Classifier:
    """A copy of a backbone with other labels and a linear head, on every frame if it has frames.

    A recording may hold any number of the labels, or none. The logit of a whole window is that of
    its frames, each weighted by the exponential of its own: what sounds for a moment counts.

    Args:
        backbone: Classifier whose features, network and windows are kept.
        labels: Names of the outputs.
        weight: Weight of the new layer.
        bias: Bias of the new layer.

    Shape:
        weight: (n_labels, embedding_dim). bias: (n_labels,).

    References:
        McFee et al. (2018), "Adaptive pooling operators for weakly labeled sound event detection",
        IEEE/ACM TASLP 26: softmax-weighted pooling, with the exponent 1.
    """
    layers = {f"{HEAD}.weight": weight, f"{HEAD}.bias": bias}
    if isinstance(backbone.network, FrameNetwork) and (
        f"{ATTENTION}.weight" in backbone.state_dict()
    ):
        layers[f"{ATTENTION}.weight"] = weight
    return with_layers(backbone, labels, layers, activation="sigmoid")
