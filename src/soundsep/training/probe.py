"""A linear layer on a trained network's embeddings: the fastest way to other classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from soundsep.classifier import Classifier
from soundsep.classifier.scoring import embed_waveforms
from soundsep.devices import forked_rng
from soundsep.errors import DatasetError
from soundsep.frontends import KaldiMelConfig
from soundsep.models import HEAD, is_head
from soundsep.training.optimizers import new_solver

__all__ = [
    "as_backbone",
    "hearing_soft",
    "linear_probe",
    "probe_classifier",
    "with_head",
    "with_layers",
]

# Weight of the squared weights, for features of standard deviation 1 and the mean loss over clips.
# Chosen on folds 1 to 4 of ESC-50, each held out in turn: between .0003 and .03 the log loss is
# best at the low end, the accuracy with few clips per class in the middle.
L2 = 1e-3
# Of ESC-50's clips, 20 % are softer. Over the five folds a probe on `audioset-mn04` names 94.4 %,
# and 54.25 % of clips 40 dB softer; with this level 94.05 % and 92.75 %: see measure_few_shot.py.
# When it was chosen, 20 dB gave 93.3 % and 93.05 %, and every clip brought to 23.5 dB 93.25 %.
MIN_LEVEL_DB = 15.0
# The network with the same layers, but only a linear layer as its head.
LINEAR_HEADED = {"mn04": "mn04-bands", "mn10": "mn10-bands"}


def linear_probe(
    embeddings: Tensor, targets: Tensor, *, n_classes: int, l2: float = L2, balanced: bool = True
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression with an L2 penalty, to its optimum and without randomness.

    Args:
        embeddings: Embedding of each example.
        targets: Index of the class of each example.
        n_classes: Number of classes.
        l2: Weight of the penalty on the squared weights of the standardised features.
        balanced: Give every class the same weight, however many examples it has.

    Shape:
        embeddings: (n, embedding_dim). targets: (n,). Returns weight (n_classes, embedding_dim)
        and bias (n_classes,), for embeddings as they are.

    Raises:
        DatasetError: there are no examples.
    """
    if len(embeddings) == 0:
        raise DatasetError("there is nothing to learn from")
    x = embeddings.double()
    mean = x.mean(dim=0)
    # Otherwise, dimensions that hardly vary over few examples would be amplified without bound.
    scale = x.std(dim=0, correction=0)
    scale = scale.clamp(min=1e-3 * float(scale.max()) + 1e-12)
    x = (x - mean) / scale
    counts = torch.bincount(targets, minlength=n_classes).clamp(min=1)
    class_weight = (1 / counts if balanced else torch.ones(n_classes)).double()
    weight = torch.zeros(n_classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(n_classes, dtype=torch.float64, requires_grad=True)
    solver = new_solver([weight, bias], max_iter=500, tolerance=1e-7)

    def closure() -> Tensor:
        solver.zero_grad()
        logits = x @ weight.T + bias
        loss = nn.functional.cross_entropy(logits, targets, weight=class_weight)
        loss = loss + l2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        return loss

    with torch.enable_grad():
        solver.step(closure)  # type: ignore[no-untyped-call]
    raw = weight.detach() / scale
    return raw.float(), (bias.detach() - raw @ mean).float()


def as_backbone(classifier: Classifier) -> Classifier:
    """The classifier to fit heads to: with its own network, or that with a linear head.

    Its embedding is the input of a probe, which is not always that of the classifier's own head:
    AudioSet's networks average over frequency, their probes do not.

    Args:
        classifier: Any classifier; it is not changed.
    """
    name = classifier.config.network
    if name not in LINEAR_HEADED:
        return classifier
    config = classifier.config.replace(network=LINEAR_HEADED[name])
    with forked_rng():  # the weights drawn here are replaced, or not used
        model = Classifier(config)
    state = classifier.state_dict()
    state = {k: v if is_head(k) else state[k] for k, v in model.state_dict().items()}
    model.load_state_dict(state)
    return model.eval()


def hearing_soft(backbone: Classifier) -> Classifier:
    """The backbone with features that bring soft windows to the level of `MIN_LEVEL_DB`.

    What is built on it then answers a recording at any level alike. Backbones of other features, or
    that bring all windows to one level, stay as they are.

    Args:
        backbone: Result of `as_backbone`; it is left as it is.
    """
    frontend = backbone.config.frontend
    if not isinstance(frontend, KaldiMelConfig) or frontend.level_db is not None:
        return backbone
    if frontend.min_level_db is not None:
        return backbone
    config = backbone.config.replace(
        frontend=frontend.replace(min_level_db=MIN_LEVEL_DB), clip_level_db=None
    )
    with forked_rng():  # the weights drawn here are replaced
        model = Classifier(config)
    model.load_state_dict(backbone.state_dict())
    return model.eval()


def with_head(
    backbone: Classifier, labels: Sequence[str], weight: Tensor, bias: Tensor
) -> Classifier:
    """A copy of a backbone with other labels and a linear layer as its head.

    Args:
        backbone: Result of `as_backbone`; its features, network and windows are kept.
        labels: Names of the outputs.
        weight: Weight of the new layer.
        bias: Bias of the new layer.

    Shape:
        weight: (n_labels, embedding_dim). bias: (n_labels,).
    """
    # A new attention counts all frames alike, which is what the layer was fitted to.
    layers = {f"{HEAD}.weight": weight, f"{HEAD}.bias": bias}
    return with_layers(backbone, labels, layers, activation="softmax")


def with_layers(
    backbone: Classifier,
    labels: Sequence[str],
    layers: Mapping[str, Tensor],
    *,
    activation: Literal["softmax", "sigmoid"],
) -> Classifier:
    """A copy of a backbone with other labels; weights of its head that are not given are random.

    Args:
        backbone: Classifier whose features, network and windows are kept; its calibration is not.
        labels: Names of the outputs.
        layers: Weights of the head by key in the ``state_dict()``, in its shapes.
        activation: Activation of the new head.
    """
    config = backbone.config.replace(
        labels=tuple(labels),
        activation=activation,
        temperature=1.0,
        unknown_below=None,
        thresholds=None,
        median_seconds=max(backbone.config.label_medians),
    )
    with forked_rng():  # the weights drawn here are replaced, or start at 0
        model = Classifier(config)
    body = {k: v for k, v in backbone.state_dict().items() if not is_head(k)}
    model.load_state_dict(model.state_dict() | body | dict(layers))
    return model.eval()


def probe_classifier(
    classifier: Classifier,
    labels: Sequence[str],
    examples: Sequence[tuple[Tensor, int]],
    *,
    batch_size: int = 16,
) -> Classifier:
    """A classifier for other labels: a trained network with a head fitted to examples.

    Args:
        classifier: Classifier whose network is used; it is not changed.
        labels: Names of the classes, in the order of the targets.
        examples: Waveform (time,) at the classifier's rate, and index of its class.
        batch_size: Windows per forward pass.

    Raises:
        DatasetError: there are no examples.
    """
    backbone = as_backbone(classifier)
    keyed = ((target, waveform) for waveform, target in examples)
    embedded = [*embed_waveforms(backbone, keyed, batch_size=batch_size)]
    embeddings = [embedding for _, embedding in embedded]
    targets = torch.tensor([target for target, _ in embedded])
    weight, bias = linear_probe(
        torch.stack(embeddings) if embeddings else torch.empty(0, 0),
        targets,
        n_classes=len(labels),
    )
    return with_head(backbone, labels, weight, bias)
