"""``soundsep train``."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundsep.cli.options import DEFAULT_MODEL, Commands, data_options, device_options

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "train",
        parents=[device_options(), data_options()],
        help="train a model on ESC-50",
        description="Train a model by a recipe, one fold of ESC-50 held out. Run the same command "
        "again after an interruption: it goes on where it stopped.",
    )
    command.add_argument(
        "--recipe",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help=f"how to train (default: {DEFAULT_MODEL}; a wrong name is answered with the list)",
    )
    command.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="for metrics and weights"
    )
    command.add_argument(
        "--backbone", metavar="MODEL", help="instead of the one that the recipe starts from"
    )
    command.add_argument(
        "--teacher",
        metavar="MODEL",
        help="instead of the recipe's; it must never have heard the fold held out",
    )
    command.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.classifier import Classifier
    from soundsep.datasets import ESC50, load_examples
    from soundsep.training import get_recipe, train
    from soundsep.training.probe import probe_classifier

    recipe = get_recipe(arguments.recipe)
    teacher = initial = None
    if recipe.teacher is not None:
        teacher = Classifier.from_pretrained(
            arguments.teacher or recipe.teacher.format(fold=arguments.fold)
        )
    dataset = ESC50(arguments.data)
    training, held_out = (
        load_examples(clips, sample_rate=recipe.frontend.sample_rate)
        for clips in dataset.split(arguments.fold)
    )
    if recipe.backbone is not None:
        backbone = Classifier.from_pretrained(arguments.backbone or recipe.backbone)
        initial = probe_classifier(backbone, dataset.labels, training)
    models = train(
        recipe,
        labels=dataset.labels,
        training=training,
        held_out=held_out,
        output=arguments.output,
        seed=arguments.seed,
        device=arguments.device,
        initial=initial,
        teacher=teacher,
    )
    for name, model in zip(("last", "ema"), models, strict=True):
        model.save_pretrained(arguments.output / name)
        print(f"wrote {arguments.output / name}")
    print((arguments.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return 0
