#!/usr/bin/env python3
"""Choose how much the frames of a clip may differ in weight, for models of scenes.

    python tools/choose_attention.py ESC50 [FOLD=MODEL...]   print the table, on folds 1 to 4
    python tools/choose_attention.py --soften 0.5 0.4 MODEL FOLDER   write a model

The logits of a clip are a weighted mean of its frames' (`soundsep.models.frames`). The weights are
learnt from clips that the network knows by heart, and are too bold on others: with the layer that
gives them multiplied by a factor below 1, more clips are named right. Their scores sink, for the
quiet frames of a clip count more, so that all biases of the head are raised until as many clips as
before keep their name at a score of one half. --soften takes the factor and the raise, in logits.

Each model hears the fold that it has never heard, whole clips and parts of 2.5 s, the loudest of
three. Fold 5 has no part in the choice. The published models are softened already: the table of
these begins where --soften left them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from soundsep import Classifier
from soundsep.datasets import ESC50, load_examples
from soundsep.models.frames import FrameMobileNetV3

FACTORS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
MODELS = tuple(f"{fold}=scenes50-mn04-fold{fold}" for fold in range(1, 5))
BATCH_SIZE, N_PARTS, PART_SECONDS = 40, 3, 2.5


def frame_network(model: Classifier) -> FrameMobileNetV3:
    """The network of a model of scenes; ends the program for others."""
    if not isinstance(model.network, FrameMobileNetV3):
        raise SystemExit(f"{model.config.network} has no attention: no model of scenes")
    return model.network


def soften(model: Classifier, factor: float, raised: float) -> None:
    """Let the frames of a clip differ less in weight, and raise all logits.

    Args:
        model: A model of scenes; it is changed.
        factor: Factor on the layer that weighs frames.
        raised: What is added to every logit of the frames, and so of the whole.
    """
    network = frame_network(model)
    with torch.no_grad():
        network.attention.weight.mul_(factor)
        network.get_parameter("head.bias").add_(raised)


def loudest_part(waveform: Tensor, n_samples: int, rng: torch.Generator) -> Tensor:
    """The loudest of a few parts of a clip, which goes on from its start."""
    starts = torch.randint(len(waveform), (N_PARTS,), generator=rng).tolist()
    parts = [waveform.roll(-start)[:n_samples] for start in starts]
    return max(parts, key=lambda part: float(part.square().sum()))


@torch.inference_mode()
def figures(model: Classifier, waveforms: Tensor, targets: Tensor) -> Tensor:
    """Shares of the clips named right, and of those with a score of at least one half.

    Shape:
        Returns (n_factors, 2).
    """
    network = frame_network(model)
    frames = torch.cat(
        [network.embed_frames(model.features(some)) for some in torch.split(waveforms, BATCH_SIZE)]
    )
    logits, attention = network.head(frames), network.attention(frames)
    rows = []
    for factor in FACTORS:
        score, label = (logits * (factor * attention).softmax(dim=1)).sum(dim=1).max(dim=1)
        right = label == targets
        rows.append(torch.stack([right, right & (score >= 0)]).float().mean(dim=1))
    return torch.stack(rows)


def measure(root: str, models: dict[int, str]) -> None:
    """Print a row for each factor, the mean of all models."""
    whole, parts = [], []
    for fold, name in models.items():
        model, rng = Classifier.from_pretrained(name), torch.Generator().manual_seed(fold)
        rate = model.sample_rate
        examples = load_examples(ESC50(root, folds=[fold]).clips, sample_rate=rate)
        targets = torch.tensor([target for _, target in examples])
        n_samples = round(PART_SECONDS * rate)
        whole.append(figures(model, torch.stack([w for w, _ in examples]), targets))
        cut = torch.stack([loudest_part(w, n_samples, rng) for w, _ in examples])
        parts.append(figures(model, cut, targets))
    print("factor  whole: right  and kept  parts: right  and kept")
    means = torch.cat((torch.stack(whole).mean(dim=0), torch.stack(parts).mean(dim=0)), dim=1)
    for factor, row in zip(FACTORS, means.tolist(), strict=True):
        print(f"{factor:6.1f}  {row[0]:12.2%}  {row[1]:8.2%}  {row[2]:12.2%}  {row[3]:8.2%}")


def main() -> None:
    """Measure, or write a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--soften", type=float, nargs=2, metavar=("FACTOR", "RAISED"))
    parser.add_argument("first", metavar="ESC50 | MODEL")
    parser.add_argument("rest", nargs="*", metavar="FOLD=MODEL | FOLDER")
    options = parser.parse_args()
    if not options.soften:
        pairs = [pair.split("=", 1) for pair in options.rest or MODELS]
        measure(options.first, {int(fold): name for fold, name in pairs})
        return
    if len(options.rest) != 1:
        parser.error("--soften takes a model and a folder")
    model = Classifier.from_pretrained(options.first)
    soften(model, *options.soften)
    model.save_pretrained(Path(options.rest[0]), half=True)


if __name__ == "__main__":
    main()
