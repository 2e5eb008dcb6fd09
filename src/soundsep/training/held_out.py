"""Metrics on held-out clips during a training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from soundsep.classifier import Classifier
from soundsep.classifier.scoring import score_waveforms
from soundsep.metrics import classification_metrics, confusion_matrix
from soundsep.training.examples import Example

__all__ = ["held_out_metrics"]


def held_out_metrics(model: Classifier, clips: Sequence[Example]) -> dict[str, float]:
    """Loss, accuracy and macro averages on held-out clips, rounded to six digits.

    Args:
        model: Classifier, in training mode or not.
        clips: Waveforms and indices of their classes, at least one.
    """
    was_training = model.training
    model.eval()
    keyed = ((target, clip) for clip, target in clips)
    scored = [*score_waveforms(model, keyed, batch_size=32)]
    model.train(was_training)
    scores = torch.stack([scores for _, scores in scored])
    targets = torch.tensor([target for target, _ in scored])
    loss = nn.functional.nll_loss(scores.clamp(min=1e-30).log(), targets)
    confusion = confusion_matrix(
        targets.numpy(), scores.argmax(dim=1).cpu().numpy(), n_classes=len(model.labels)
    )
    metrics = classification_metrics(confusion)
    values = {
        "loss": float(loss),
        "accuracy": metrics.accuracy,
        "macro_precision": metrics.macro_precision,
        "macro_recall": metrics.macro_recall,
        "macro_f1": metrics.macro_f1,
    }
    return {f"held_out_{name}": round(value, 6) for name, value in values.items()}
