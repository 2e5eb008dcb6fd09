#!/usr/bin/env python3
"""Average the weights of classifiers that were trained from the same start.

    python tools/average_models.py FOLDER MODEL... [--weights 2 1 1]

writes a classifier whose weights are the mean of theirs, in float32. Trainings that began with the
same weights, and did not go far from them, end close enough together for their mean to be a good
model, often a better one than each (Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from soundsep import Classifier


def averaged(models: Sequence[Classifier], weights: Sequence[float]) -> Classifier:
    """The first model, with the weighted mean of all models' weights.

    Args:
        models: Models of the same network and labels; the first one is changed.
        weights: What each counts.
    """
    first, whole = models[0], sum(weights)
    kinds = [(model.config.network, model.labels, model.config.frontend) for model in models]
    if any(kind != kinds[0] for kind in kinds):
        raise SystemExit("models of different networks, labels or features have no mean")
    if whole <= 0:
        raise SystemExit("the weights must have a sum above 0")
    states = [model.state_dict() for model in models]
    with torch.no_grad():
        for name, value in first.state_dict().items():
            if value.is_floating_point():  # batch norms also count their batches
                parts = [w * state[name] for w, state in zip(weights, states, strict=True)]
                value.copy_(torch.stack(parts).sum(dim=0) / whole)
    return first


def main() -> None:
    """Read, average and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--weights", nargs="+", type=float, help="what each counts; by default 1")
    options = parser.parse_args()
    weights = options.weights or [1.0] * len(options.models)
    if len(weights) != len(options.models):
        parser.error(f"{len(options.models)} models, but {len(weights)} weights")
    models = [Classifier.from_pretrained(name) for name in options.models]
    averaged(models, weights).save_pretrained(options.folder)


if __name__ == "__main__":
    main()
