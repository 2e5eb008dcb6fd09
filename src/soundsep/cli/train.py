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
        "--teacher", metavar="MODEL", help="instead of the one that the recipe learns from"
    )
    command.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.classifier import Classifier
    from soundsep.datasets import ESC50, load_examples
    from soundsep.training import get_recipe, train
    from soundsep.training.probe import probe_classifier

    recipe = get_recipe(arguments.recipe)
    dataset = ESC50(arguments.data)
    training_clips, held_out_clips = dataset.split(arguments.fold)

    def probe(name: str) -> Classifier:
        """That network with a head for the training clips, and for nothing else."""
        trained = Classifier.from_pretrained(name)
        examples = load_examples(training_clips, sample_rate=trained.sample_rate)
        return probe_classifier(trained, dataset.labels, examples)

    initial = probe(arguments.backbone or recipe.backbone) if recipe.backbone else None
    teacher = probe(arguments.teacher or recipe.teacher) if recipe.teacher else None
    rate = (initial.config if initial else recipe).frontend.sample_rate
    models = train(
        recipe,
        labels=dataset.labels,
        training=load_examples(training_clips, sample_rate=rate),
        held_out=load_examples(held_out_clips, sample_rate=rate),
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
