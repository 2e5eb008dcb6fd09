"""From the scores of a recording and its sources to the labels of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from soundsep.classifier import ClassifierLike
from soundsep.pipeline.mixtures import merge_scores
from soundsep.pipeline.results import ClipResult, Prediction

__all__ = ["name_sounds"]


def name_sounds(
    result: ClipResult,
    scores: Mapping[str, Tensor],
    classifier: ClassifierLike,
    *,
    unknown: bool,
    is_separated: bool,
    top_k: int | None,
) -> ClipResult:
    """A result with its labels, best first.

    Args:
        result: The result without labels.
        scores: Scores of the recording itself, then of its sources, (n_labels,) each, by name.
        classifier: The classifier that gave the scores.
        unknown: Leave a sound unnamed if its best score is below the classifier's
            ``unknown_below``.
        is_separated: State in which source each label was heard best.
        top_k: Number of labels to keep.
    """
    labels, names, config = classifier.labels, [*scores], classifier.config
    alone = torch.stack([*scores.values()])
    merged, where = merge_scores(alone)
    best = merged.topk(len(labels))
    order = best.indices.tolist()
    ranked = tuple(
        Prediction(labels[index], score, names[int(where[index])] if is_separated else None)
        for index, score in zip(order, best.values.tolist(), strict=True)
    )
    least = config.unknown_below if unknown else None
    # Thresholds apply to the scores without the weight of sources.
    own = alone.gather(0, where.unsqueeze(0))[0]
    is_known = least is None or bool(own[order[0]] >= least)
    named = None
    if config.activation == "sigmoid":
        reach = own >= own.new_tensor(config.label_thresholds)
        named = tuple(p for p, index in zip(ranked, order, strict=True) if reach[index])
        is_known &= bool(named)
    return replace(result, predictions=ranked[:top_k], is_known=is_known, named=named)
