#!/usr/bin/env python3
"""Find out how much the sources of a separated recording should count, on training folds alone.

    python tools/choose_merge.py ESC50 SEPARATOR [FOLD=MODEL...]

hears folds 1 to 4, each with the esc50-mn04 that has not learnt from it, or the folds and models
named, as single clips and as mixtures of two, and prints for every floor and weight of
`soundsep.pipeline.mixtures` how many clips are named right and how well the mixtures are. The
separator has learnt from these folds; fold 5, on which results are reported, has no part in the
choice.

Half is the largest weight at which neither these models nor a ResNet-34 taught on folds 1 to 3,
asked about fold 4, lost more than half a point of accuracy on single clips, with a smaller
separator than today's. With today's, esc50-mn04 would bear 0.9; models of scenes lose by any.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from soundsep.audio import resample
from soundsep.classifier import Classifier
from soundsep.classifier.audible import clip_gain, clip_windows
from soundsep.classifier.scoring import score_windows
from soundsep.datasets import ESC50, MixtureConfig, Mixtures, load_examples
from soundsep.evaluation.mixtures import NamingMetrics
from soundsep.pipeline.mixtures import merge_scores
from soundsep.separator import Separator

FLOORS_DB = (-30.0, -25.0, -20.0, -15.0, -10.0)
WEIGHTS = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
N_CLIPS, N_MIXTURES = 400, 400  # of all folds
MODELS = tuple(f"{fold}=esc50-mn04-fold{fold}" for fold in range(1, 5))


def heard(
    separator: Separator, classifier: Classifier, waveforms: list[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Scores (1 + n_sources, n_labels) and levels in dB below the recording, for each."""
    levels: list[Tensor] = []
    parts: list[list[Tensor]] = []  # windows
    for waveform in tqdm(waveforms):
        separation = separator(waveform, separator.sample_rate, progress=False)
        power = separation.audio.square().mean(dim=(1, 2)) / separation.mixture.square().mean()
        levels.append(10 * power.clamp(min=1e-12).log10())
        all_parts = torch.cat((waveform[None], separation.audio[:, 0]))
        resampled = resample(all_parts, separator.sample_rate, classifier.sample_rate)
        gain = clip_gain(classifier, resampled[0])
        parts += [clip_windows(classifier, one, gain=gain) for one in resampled]
    scored = score_windows(classifier, enumerate(parts), batch_size=16)
    rows = torch.stack([scores for _, scores in scored])
    n_heard = 1 + len(separator.sources)
    return [*zip(torch.split(rows, n_heard), levels, strict=True)]


def merged(answers: list[tuple[Tensor, Tensor]], floor_db: float, weight: float) -> Tensor:
    """Scores of all recordings, (n, n_labels)."""
    kept = [
        scores[torch.cat((torch.tensor([True]), levels > floor_db))] for scores, levels in answers
    ]
    return torch.stack([merge_scores(s, source_weight=weight)[0] for s in kept])


def main(root: Path, name: str, *models: str) -> None:
    """Hear everything once, then try every pair of settings."""
    separator = Separator.from_pretrained(name)
    config = MixtureConfig()
    clips: list[tuple[Tensor, Tensor]] = []
    mixed: list[tuple[Tensor, Tensor]] = []
    clip_targets: list[int] = []
    mixed_targets: list[tuple[int, ...]] = []
    for asked in models:
        fold, _, model = asked.partition("=")
        clips_of_fold = ESC50(root, folds=[int(fold)]).clips
        examples = load_examples(clips_of_fold, sample_rate=config.sample_rate)
        few = examples[:: len(examples) * len(models) // N_CLIPS]
        n_mixtures = N_MIXTURES // len(models)
        mixtures = [*Mixtures(examples, n_mixtures=n_mixtures, seed=int(fold), config=config)]
        classifier = Classifier.from_pretrained(model).eval()
        clips += heard(separator, classifier, [waveform for waveform, _ in few])
        clip_targets += [target for _, target in few]
        mixed += heard(separator, classifier, [m.waveform for m in mixtures])
        mixed_targets += [m.targets for m in mixtures]

    def line(what: str, floor_db: float, weight: float) -> None:
        answers = merged(clips, floor_db, weight).argmax(dim=1).numpy()
        figures = NamingMetrics.of(merged(mixed, floor_db, weight).numpy(), mixed_targets)
        print(
            f"{what}  {np.mean(answers == clip_targets):>8.2%}  {figures.all_found:>6.1%}  "
            f"{figures.one_found:>6.1%}  {figures.mean_average_precision:.3f}"
        )

    print("floor  weight   1 sound    both     one    mAP")
    line("no separation", 0.0, 0.0)
    for floor_db in FLOORS_DB:
        for weight in WEIGHTS:
            line(f"{floor_db:>5.0f}  {weight:>6.2f}", floor_db, weight)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("esc50", type=Path, metavar="ESC50")
    parser.add_argument("separator", metavar="SEPARATOR")
    parser.add_argument("models", nargs="*", default=MODELS, metavar="FOLD=MODEL")
    options = parser.parse_args()
    main(options.esc50, options.separator, *options.models)
