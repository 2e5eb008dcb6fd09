#!/usr/bin/env python3
"""Run recipes on the data at hand, and write what each reaches into docs/recipes.md.

    python tools/run_recipes.py --esc50 ROOT --urbansound8k ROOT --output DIR [NAME...]
    python tools/run_recipes.py --check   only see that the page agrees with the results file

runs the recipes named, or all of NAMES below, each as `soundsep train` would. A run in DIR goes on
where it stopped. The results file is docs/recipe_results.json; recipes that were not named keep
their rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results_file import REPOSITORY, ResultsFile, filled

if TYPE_CHECKING:
    from soundsep.datasets.clip import FoldedClips

PAGE = REPOSITORY / "docs" / "recipes.md"

NAMES = (
    "urban11-resnet34",
    "esc50-resnet18-44k",
    "esc50-resnet18-mfcc",
    "esc50-cnn-mel",
    "esc50-cnn-wave",
    "esc50-aclnet",
    "esc50-crop-resnet18",
    "esc50-crop-cnn8",
    "esc50-crop-cnn4",
    "urbansound8k-cnn-mel",
    "urbansound8k-cnn-gammatone",
    "esc50-crnn",
)

# What the projects themselves report; docs/recipes.md says where, and on which clips.
REPORTED = {
    "urban11-resnet34": "91%",
    "esc50-cnn-mel": "36.0%",
    "esc50-cnn-wave": "18.5%",
    "esc50-aclnet": "1.3%",
    "esc50-crop-resnet18": "66.5%",
    "esc50-crop-cnn8": "68.0%",
    "esc50-crop-cnn4": "66.3%",
}
ON = {"cpu": "CPU", "NVIDIA H100 80GB HBM3": "H100"}


def run(name: str, *, esc50: Path, urbansound8k: Path, output: Path, device: str) -> dict[str, Any]:
    """Train by one recipe, and measure it on the fold held out."""
    import torch

    from soundsep.datasets import ESC50, Urban11, UrbanSound8K
    from soundsep.training import get_recipe, train_recipe
    from turns import name_of

    recipe = get_recipe(name)
    datasets: dict[str, Callable[[], FoldedClips]] = {
        "esc50": lambda: ESC50(esc50),
        "urbansound8k": lambda: UrbanSound8K(urbansound8k),
        "urban11": lambda: Urban11(esc50=esc50, urbansound8k=urbansound8k),
    }
    result = train_recipe(
        recipe,
        datasets[recipe.data](),
        10 if recipe.data == "urbansound8k" else 5,
        output=output / name,
        cache=output / "cache",
        device=device,
        on_warning=print,
    )
    metrics = result.evaluation.metrics
    print(result.evaluation)
    return {
        "data": {
            "esc50": "ESC-50 at 16 kHz",
            "urbansound8k": "720 slices of UrbanSound8K",
            "urban11": "ESC-50 at 16 kHz and 720 slices of UrbanSound8K",
        }[recipe.data],
        "fold": result.fold,
        "n_test_clips": len(result.evaluation.scores),
        "network": recipe.network,
        "features": type(recipe.frontend).kind,
        "epochs": recipe.epochs,
        "minutes": round(result.minutes, 1),
        "device": name_of(torch.device(device)),
        "n_parameters": sum(p.numel() for p in result.ema.parameters()),
        "accuracy": round(metrics.accuracy, 6),
        "macro_f1": round(metrics.macro_f1, 6),
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """The rows, in Markdown."""
    lines = [
        "| recipe | accuracy | macro F1 | project | clips | epochs | minutes | weights |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {r['accuracy']:.2%} | {r['macro_f1']:.2%} | "
        f"{REPORTED.get(name, 'not known')} | {r['n_test_clips']} | {r['epochs']} | "
        f"{r['minutes']} {ON.get(r['device'], r['device'])} | "
        f"{r['n_parameters'] / 1e6:.1f} M |"
        for name, r in results.items()
    ]
    return "\n".join(lines) + "\n"


RESULTS = ResultsFile(
    REPOSITORY / "docs" / "recipe_results.json",
    lambda results: {PAGE: filled(PAGE, "recipes", table(results))},
)


def main() -> None:
    """Run and write, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes (default: all)")
    for root in ("--esc50", "--urbansound8k"):
        parser.add_argument(root, type=Path, required=True, metavar="ROOT")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    for name in options.names or NAMES:
        row = run(
            name,
            esc50=options.esc50,
            urbansound8k=options.urbansound8k,
            output=options.output,
            device=options.device,
        )
        # Read only now: another run may have written its row meanwhile.
        results = RESULTS.read() | {name: row}
        RESULTS.write({known: results[known] for known in NAMES if known in results})


if __name__ == "__main__":
    main()
