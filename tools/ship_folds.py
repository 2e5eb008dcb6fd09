#!/usr/bin/env python3
"""Calibrate the five models of a five-fold run, and store them as they are published.

    python tools/ship_folds.py NAME ROOT RUNS

RUNS holds fold1 to fold5, as `soundsep train --output RUNS/foldK --fold K` leaves them; ROOT is a
folder of ESC-50. Written are weights/NAME-fold1 to weights/NAME-fold5, from the averaged weights.

The temperature of the model that has fold K held out is fitted to what the other four models answer
on the folds that they have held out: every label it depends on is one of model K's training folds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from soundsep import Classifier
from soundsep.datasets import ESC50, load_examples
from soundsep.pipeline import score_waveforms
from soundsep.training.calibration import fit_temperature

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
FOLDS = (1, 2, 3, 4, 5)


def main(name: str, root: str, runs: str) -> None:
    """Fit the temperatures and write the five models."""
    models = {k: Classifier.from_pretrained(Path(runs) / f"fold{k}" / "ema") for k in FOLDS}
    answers = {k: held_out_answers(models[k], root, k) for k in FOLDS}
    for k, model in models.items():
        others = [answers[j] for j in FOLDS if j != k]
        logits, targets = (torch.cat(parts) for parts in zip(*others, strict=True))
        temperature = round(fit_temperature(logits, targets), 4)
        model.config = model.config.replace(temperature=temperature)
        model.save_pretrained(WEIGHTS / f"{name}-fold{k}", half=True)
        right = answers[k][0].argmax(dim=1) == answers[k][1]
        print(f"fold {k}: temperature {temperature}, held-out accuracy {right.float().mean():.2%}")


def held_out_answers(model: Classifier, root: str, fold: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities at temperature 1, (n_clips, n_labels), and targets of one fold."""
    examples = load_examples(ESC50(root, folds=[fold]).clips, sample_rate=model.sample_rate)
    scores = [*score_waveforms(model, (waveform for waveform, _ in examples), batch_size=16)]
    targets = torch.tensor([target for _, target in examples])
    return torch.stack(scores).clamp(min=1e-12).log(), targets


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
