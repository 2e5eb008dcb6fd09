#!/usr/bin/env python3
"""Give a model of scenes a second half that hears the window as a whole, taught on single clips.

    python tools/add_whole.py SCENES_MODEL --esc50 ROOT --held-out FOLD --output DIR

SCENES_MODEL has the network mn04-frames. Behind its first ten blocks, which stay as they are, come
the last ones of audioset-mn04 a second time, with a linear head; they learn what `esc50-mn04`
learns (recipe ``finetune``), from all folds but FOLD (0: from all). What they say is added to the
logits of every frame, WEIGHT of it: DIR holds the model, with the network mn04-whole, in float16.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from soundsep import Classifier
from soundsep.datasets import ESC50, load_examples
from soundsep.devices import forked_rng
from soundsep.models import NETWORKS
from soundsep.models.frames import N_SHARED, WHOLE_BLOCKS
from soundsep.models.mobilenet import MobileNetV3, mn04_bands
from soundsep.training import train
from soundsep.training.probe import as_backbone, probe_classifier
from soundsep.training.recipes import get_recipe

ALONE = "mn04-whole-alone"  # known to this program only
FROZEN_SHARE = 0.66  # of the layers: all that are shared
#: Of 0, .2, .3, .4, .5, .7 and 1 the best for fold 1, see docs/scenes.md.
WEIGHT = 0.4


def whole_alone(n_classes: int) -> MobileNetV3:
    """The shared blocks, and the branch that hears the whole."""
    network = mn04_bands(n_classes)
    kept = (*range(N_SHARED), *WHOLE_BLOCKS)
    network.blocks = nn.Sequential(*(network.blocks[i] for i in kept))
    return network


def beginning(scenes: Classifier) -> Classifier:
    """The branch before it learns: blocks of the model of scenes, and AudioSet's behind them."""
    tagger = as_backbone(Classifier.from_pretrained("audioset-mn04"))
    config = tagger.config.replace(network=ALONE, frontend=scenes.config.frontend)
    with forked_rng():  # the weights drawn here are replaced
        model = Classifier(config)
    known, shared = tagger.state_dict(), scenes.state_dict()
    weights = model.state_dict()
    for key in weights:
        _, part, number, *rest = (*key.split("."), "")
        if part == "stem" or (part == "blocks" and int(number) < N_SHARED):
            weights[key] = shared[key]
        elif part == "blocks":
            block = WHOLE_BLOCKS[int(number) - N_SHARED]
            weights[key] = known[".".join(("network.blocks", str(block), *filter(None, rest)))]
        elif key in known:
            weights[key] = known[key]
    model.load_state_dict(weights)
    return model.eval()


def joined(scenes: Classifier, whole: Classifier, weight: float) -> Classifier:
    """One network of both."""
    config = scenes.config.replace(network="mn04-whole")
    with forked_rng():  # the weights drawn here are replaced
        model = Classifier(config)
    weights, branch = dict(scenes.state_dict()), whole.state_dict()
    head, bias = "network.head.weight", "network.head.bias"
    # A logit that all classes share would say nothing in a softmax, but does in a sigmoid.
    centred = {key: branch[key] - branch[key].mean(dim=0, keepdim=True) for key in (head, bias)}
    weights[head] = torch.cat((weights[head], weight * centred[head]), dim=1)
    weights[bias] = weights[bias] + weight * centred[bias]
    for key, value in branch.items():
        if key.startswith("network.tail."):
            weights[key.replace("tail", f"whole.{len(WHOLE_BLOCKS)}", 1)] = value
        elif key.startswith("network.blocks."):
            number, _, rest = key.removeprefix("network.blocks.").partition(".")
            if int(number) >= N_SHARED:
                weights[f"network.whole.{int(number) - N_SHARED}.{rest}"] = value
    model.load_state_dict(weights)
    return model.eval()


def main() -> None:
    """Teach the branch, join and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", metavar="SCENES_MODEL")
    parser.add_argument("--esc50", type=Path, required=True, metavar="ROOT")
    parser.add_argument("--held-out", type=int, required=True, metavar="FOLD")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--weight", type=float, default=WEIGHT, help="default: %(default)s")
    parser.add_argument("--cache", type=Path, help="folder for decoded clips")
    options = parser.parse_args()
    NETWORKS[ALONE] = whole_alone
    scenes = Classifier.from_pretrained(options.scenes)
    if scenes.config.network != "mn04-frames":
        sys.exit(f"{options.scenes} has the network {scenes.config.network}, not mn04-frames")
    data = ESC50(options.esc50)
    clips, held_out = data.split(options.held_out) if options.held_out else (data.clips, ())
    training, test = (
        load_examples(part, sample_rate=scenes.sample_rate, cache=options.cache)
        for part in (clips, held_out)
    )
    branch = train(
        get_recipe("finetune").replace(frozen_share=FROZEN_SHARE),
        labels=data.labels,
        training=training,
        held_out=test,
        output=options.output / "branch",
        initial=probe_classifier(beginning(scenes), data.labels, training),
    ).ema
    model = joined(scenes, branch, options.weight)
    model.save_pretrained(options.output, half=True)
    if test:
        targets = torch.tensor([target for _, target in test])
        for name, one in (("scenes", scenes), ("whole", branch), ("both", model)):
            right = best_labels(one, [waveform for waveform, _ in test]) == targets
            print(f"{name}: {right.float().mean():.2%} of fold {options.held_out}")


@torch.inference_mode()
def best_labels(model: Classifier, waveforms: list[Tensor]) -> Tensor:
    """Index of the best label of each clip, of one window."""
    scores = [model(torch.stack(waveforms[i : i + 16])) for i in range(0, len(waveforms), 16)]
    return torch.cat(scores).argmax(dim=1)


if __name__ == "__main__":
    main()
