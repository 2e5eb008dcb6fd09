#!/usr/bin/env python3
"""Measure how good a probe is by the number of clips a class that it learns from.

    python tools/measure_few_shot.py ROOT     ROOT is a folder of ESC-50
    python tools/measure_few_shot.py --check  only see that the page agrees with the results file

The results file is docs/few_shot.json. The page docs/own_classes.md holds its table between the
lines <!-- few-shot:begin --> and <!-- few-shot:end -->.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled

PAGE = REPOSITORY / "docs" / "own_classes.md"

BACKBONE = "audioset-mn04"
TEST_FOLD = 5
N_CLIPS = (1, 2, 5, 10, 20)  # a class
N_SEEDS = 10


def measure(root: Path) -> dict[str, Any]:
    """Draw clips of folds 1 to 4, probe, and answer all of fold 5; ten draws of each size."""
    import numpy as np
    import torch
    from tqdm.auto import tqdm

    from soundsep import Classifier
    from soundsep.datasets import ESC50
    from soundsep.training.embedding_cache import embed_files
    from soundsep.training.probe import as_backbone, hearing_soft, linear_probe

    data = ESC50(root)
    pool, test = data.split(TEST_FOLD)
    heard = {clip.origin for clip in test}  # a few recordings are in two folds, as other classes
    pool = tuple(clip for clip in pool if clip.origin not in heard)
    backbone = hearing_soft(as_backbone(Classifier.from_pretrained(BACKBONE)))
    embeddings, _ = embed_files(backbone, [clip.path for clip in data])

    def stack(clips: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [embeddings[clip.path] for clip in clips]
        return torch.stack(rows), torch.tensor([clip.target for clip in clips])

    x_test, wanted = stack(test)
    rows = []
    for n_clips in tqdm(N_CLIPS, desc="probing"):
        accuracies = []
        for seed in range(N_SEEDS):
            rng = np.random.default_rng(seed)
            drawn = []
            for target in range(len(data.labels)):
                of_class = [clip for clip in pool if clip.target == target]
                order = rng.permutation(len(of_class))
                drawn += [of_class[i] for i in order[:n_clips]]
            weight, bias = linear_probe(*stack(drawn), n_classes=len(data.labels))
            answers = (x_test @ weight.T + bias).argmax(dim=1)
            accuracies.append(float((answers == wanted).float().mean()))
        rows.append(
            {
                "clips_per_class": n_clips,
                "accuracy_mean": round(float(np.mean(accuracies)), 4),
                "accuracy_std": round(float(np.std(accuracies, ddof=1)), 4),
            }
        )
    return {
        "backbone": BACKBONE,
        "data": "ESC-50 at 16 kHz",
        "n_classes": len(data.labels),
        "test_fold": TEST_FOLD,
        "n_test_clips": len(test),
        "n_seeds": N_SEEDS,
        "rows": rows,
    }


def table(results: dict[str, Any]) -> str:
    """The curve, in Markdown."""
    lines = ["| clips per class | accuracy | standard deviation |", "|---|---|---|"]
    lines += [
        f"| {row['clips_per_class']} | {row['accuracy_mean']:.1%} | "
        f"{100 * row['accuracy_std']:.1f} points |"
        for row in results["rows"]
    ]
    return (
        "\n".join(lines)
        + f"\n\n`{results['backbone']}`, probe; {results['data']}, {results['n_classes']} classes; "
        f"clips drawn from folds 1 to 4, tested on the {results['n_test_clips']} clips of fold "
        f"{results['test_fold']}; mean and standard deviation of {results['n_seeds']} draws.\n"
    )


RESULTS = ResultsFile(
    REPOSITORY / "docs" / "few_shot.json",
    lambda results: {PAGE: filled(PAGE, "few-shot", table(results))},
)


def main() -> None:
    """Measure and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("root", type=Path, metavar="ROOT")
    results = measure(parser.parse_args().root)
    RESULTS.write(results)
    print(table(results))


if __name__ == "__main__":
    main()
