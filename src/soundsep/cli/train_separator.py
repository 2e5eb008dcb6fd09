"""``soundsep train-separator``."""

from __future__ import annotations

import argparse

from soundsep.cli.console import say
from soundsep.cli.options import Commands, add_data, add_device, add_folder, add_seed, at_least_1
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "train-separator",
        help="train a separator on mixtures of clips",
        description="Train a separator on mixtures of clips of all folds except the held-out one. "
        "After an interruption, run the same command again to continue.",
        epilog="example: soundsep train-separator --data ESC-50 -o runs/mix2",
    )
    add_data(command)
    add_folder(command, "metrics and weights")
    command.add_argument(
        "--epochs", type=at_least_1, metavar="N", help="epochs of 2000 mixtures each (default: 56)"
    )
    command.add_argument(
        "--sources",
        type=at_least_1,
        default=2,
        metavar="N",
        help="sources per mixture (default: 2)",
    )
    add_seed(command)
    add_device(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.datasets import ESC50, MixtureConfig, load_examples
    from soundsep.separator import Separator
    from soundsep.training.separator import SeparationRecipe, separator_config, train_separator

    recipe = SeparationRecipe(
        mixtures=MixtureConfig(n_sources=arguments.sources, is_rolled=True),
        **({"epochs": arguments.epochs} if arguments.epochs else {}),
    )
    training, _ = ESC50(arguments.data).split(arguments.fold)
    trained = train_separator(
        recipe,
        load_examples(training, sample_rate=recipe.mixtures.sample_rate),
        output=arguments.output,
        seed=arguments.seed,
        device=arguments.device,
    )
    for name, network in zip(trained._fields, trained, strict=True):
        folder = arguments.output / name
        Separator(network, separator_config(recipe)).save_pretrained(folder, half=True)
        say(f"wrote {folder}")
    return 0
