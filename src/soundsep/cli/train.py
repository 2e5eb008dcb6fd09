"""``soundsep train``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.console import note, say
from soundsep.cli.data import DATA_HELP, open_dataset
from soundsep.cli.options import Commands, add_device, add_folder, add_seed, at_least_1
from soundsep.cli.startup import import_torch

if TYPE_CHECKING:
    from soundsep.training import Recipe

__all__ = ["add_command"]

DEFAULT_RECIPE = "esc50-resnet34"
FEATURES = ("mel", "mfcc", "gammatone", "waveform")


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "train",
        help="train a model by a recipe",
        description="Train a model by a recipe (`soundsep recipes` lists them) with one fold of "
        "the data held out, and measure it on that fold at the end. After an interruption, run the "
        "same command again to continue.",
        epilog="example: soundsep train --data ESC-50 --fold 5 -o runs/fold5",
    )
    command.add_argument(
        "--recipe",
        default=DEFAULT_RECIPE,
        metavar="NAME",
        help=f"a name of `soundsep recipes` (default: {DEFAULT_RECIPE})",
    )
    add_folder(command, "metrics and weights")
    data = command.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="ROOT",
        help=f"{DATA_HELP}; repeat it for urban11",
    )
    data.add_argument(
        "--annotations",
        type=Path,
        metavar="CSV",
        help="a table of your own clips: path, label, and optionally fold and group",
    )
    data.add_argument(
        "--fold", type=at_least_1, metavar="N", help="the held-out fold (default: the last)"
    )
    data.add_argument(
        "--validation-fold",
        type=at_least_1,
        metavar="N",
        help="hold this fold out too and report on it during training; the held-out fold is "
        "measured only at the end",
    )
    data.add_argument(
        "--limit", type=at_least_1, metavar="N", help="use only N clips each for training and test"
    )
    data.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep decoded clips, and features that never change, here for later runs",
    )
    changes = command.add_argument_group("changes to the recipe")
    changes.add_argument(
        "--epochs", type=at_least_1, metavar="N", help="epochs in all, shared among its stages"
    )
    changes.add_argument("--batch-size", type=at_least_1, metavar="N", help="clips per step")
    changes.add_argument("--lr", type=float, metavar="RATE", help="peak learning rate")
    changes.add_argument(
        "--network", metavar="NAME", help="name of a network; an unknown one lists all"
    )
    changes.add_argument(
        "--features", choices=FEATURES, help="frontend, with the library's settings for 16 kHz"
    )
    changes.add_argument("--backbone", metavar="MODEL", help="model to start from")
    changes.add_argument("--teacher", metavar="MODEL", help="model to distil from")
    command.add_argument(
        "--calibrate",
        action="store_true",
        help="train once more with a training fold held out too, and calibrate the scores on it; "
        "takes twice the time",
    )
    add_seed(command)
    command.add_argument(
        "--log-dir", type=Path, metavar="DIR", help="folder for TensorBoard (extra train)"
    )
    command.add_argument(
        "--comment", default="", metavar="TEXT", help="added to the name of the run in TensorBoard"
    )
    add_device(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.cli.tensorboard import epoch_logger
    from soundsep.training import get_recipe, train_recipe
    from soundsep.training.run import default_fold

    recipe = _changed(get_recipe(arguments.recipe), arguments)
    output = arguments.output
    dataset = open_dataset(
        arguments.data,
        is_urban11=recipe.data == "urban11",
        annotations=arguments.annotations,
    )
    dataset, fold = default_fold(dataset, arguments.fold)
    name = f"{output.resolve().name}-{recipe.name}-fold{fold}"
    comment = re.sub(r"[^\w.+-]+", "_", arguments.comment)  # it becomes part of a folder's name
    with epoch_logger(arguments.log_dir, name, comment) as log:
        result = train_recipe(
            recipe,
            dataset,
            fold,
            output=output,
            validation_fold=arguments.validation_fold,
            limit=arguments.limit,
            calibrate=arguments.calibrate,
            cache=arguments.cache,
            seed=arguments.seed,
            device=arguments.device,
            on_epoch=log,
            on_warning=lambda warning: note(f"warning: {warning}"),
        )
    for weights in ("last", "ema"):
        say(f"wrote {output / weights}")
    say(f"{output / 'ema'} on {dataset.name}, fold {fold}, which was held out:")
    say(result.evaluation)
    return 0


def _changed(recipe: Recipe, arguments: argparse.Namespace) -> Recipe:
    """The recipe with the changes of the command line."""
    from soundsep.augment import RandomCrop
    from soundsep.errors import ConfigError
    from soundsep.frontends import GammatoneConfig, MelConfig, MFCCConfig, WaveformConfig

    kinds = dict(
        zip(FEATURES, (MelConfig, MFCCConfig, GammatoneConfig, WaveformConfig), strict=True)
    )
    wanted = {
        "stages": arguments.epochs and recipe.with_epochs(arguments.epochs).stages,
        "batch_size": arguments.batch_size,
        "learning_rate": arguments.lr,
        "network": arguments.network,
        "frontend": arguments.features and kinds[arguments.features](),
        "backbone": arguments.backbone,
        "teacher": arguments.teacher,
    }
    if arguments.teacher and not recipe.teacher:
        raise ConfigError(f"recipe {recipe.name!r} does not learn from a teacher")
    if (arguments.backbone or recipe.backbone) and (arguments.network or arguments.features):
        raise ConfigError(
            "a backbone brings its own network and features; leave out --network and --features, "
            "or choose a recipe without a backbone"
        )
    if arguments.features and any(isinstance(s, RandomCrop) for s in recipe.feature_steps):
        raise ConfigError(
            f"recipe {recipe.name!r} crops its features by their size and cannot be combined with "
            "--features"
        )
    return recipe.replace(**{k: v for k, v in wanted.items() if v is not None})
