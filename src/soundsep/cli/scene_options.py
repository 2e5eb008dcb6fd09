"""Options for making scenes, shared by ``make-scenes`` and ``evaluate-events``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundsep.cli.console import note
from soundsep.cli.data import DATA_HELP, open_dataset
from soundsep.cli.options import at_least_0, at_least_1
from soundsep.errors import ConfigError

if TYPE_CHECKING:
    from soundsep.datasets import SoundscapeConfig, Soundscapes
    from soundsep.datasets.clip import FoldedClips

__all__ = ["add_scene_options", "scene_config", "scenes_of"]

STRANGER_SECONDS = 5.0  # length of the pieces that recordings of strangers are cut into
LONG_SECONDS = 60.0  # scenes of this length or more are those of `LONG_SCENES`


def add_scene_options(command: argparse.ArgumentParser, *, n_default: int) -> None:
    """--data, --fold, the number of scenes, and what they are made of.

    Args:
        command: Parser of the command.
        n_default: Default number of scenes.
    """
    command.add_argument("--data", type=Path, required=True, metavar="ROOT", help=DATA_HELP)
    command.add_argument(
        "--fold",
        type=at_least_1,
        required=True,
        metavar="N",
        help="the fold whose clips are in the scenes; clips without folds are divided into folds "
        "as in `soundsep train`",
    )
    command.add_argument(
        "--n-scenes",
        type=at_least_1,
        default=n_default,
        metavar="N",
        help=f"number of scenes (default: {n_default})",
    )
    command.add_argument(
        "--seconds",
        type=float,
        metavar="SECONDS",
        help="length of a scene, 0.5 to 3600 (default: 600); scenes of a minute or more have two "
        "sounds per minute, shorter ones 0 to 4 in all",
    )
    command.add_argument(
        "--sounds-per-minute",
        type=float,
        metavar="N",
        help="number of sounds per minute, never more than 4 at once (default: 2, in scenes of a "
        "minute or more)",
    )
    command.add_argument(
        "--seed",
        type=at_least_0,
        default=0,
        help="seed of all random numbers (default: 0): the same seed makes the same scenes",
    )
    command.add_argument(
        "--backgrounds",
        type=Path,
        metavar="DIR",
        help="folder of recordings to put behind the sounds (default: synthetic backgrounds)",
    )
    command.add_argument(
        "--strangers",
        type=Path,
        metavar="DIR",
        help="folder of recordings of sounds that have none of the labels (default: none)",
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="JSON",
        help="file with other settings of datasets.SoundscapeConfig",
    )


def scene_config(arguments: argparse.Namespace) -> SoundscapeConfig:
    """What the scenes are made of.

    Raises:
        ConfigError: a value is out of range, or the file is not a config.
    """
    from soundsep.datasets import LONG_SCENES, SoundscapeConfig
    from soundsep.files import parse_json

    if arguments.config is not None:
        try:
            config = SoundscapeConfig.from_dict(parse_json(arguments.config.read_text("utf-8")))
        except (OSError, ValueError) as error:  # a ConfigError too
            raise ConfigError(f"cannot read {arguments.config}: {error}") from error
    elif arguments.seconds is None or arguments.seconds >= LONG_SECONDS:
        config = LONG_SCENES
    else:
        config = SoundscapeConfig()
    if arguments.seconds is not None:
        config = config.replace(seconds=arguments.seconds)
    if arguments.sounds_per_minute is not None:
        config = config.replace(sounds_per_minute=arguments.sounds_per_minute)
    return config


def scenes_of(
    arguments: argparse.Namespace, config: SoundscapeConfig, *, training: bool = False
) -> tuple[Soundscapes, FoldedClips]:
    """The scenes, and the data set that their clips are of.

    Raises:
        ConfigError: the fold does not exist.
        DatasetError: a folder does not hold what is expected.
        AudioError: a recording cannot be read.
    """
    from soundsep.datasets import Concatenation, Soundscapes, load_recordings

    folds = None if training else [arguments.fold]
    data = open_dataset([arguments.data], folds=folds)
    if not data.fold_numbers:
        data = Concatenation([data])
    for warning in data.notes:
        note(f"warning: {warning}")
    rate = config.sample_rate
    others = {"backgrounds": None, "strangers": STRANGER_SECONDS}
    recordings: dict[str, Any] = {
        name: load_recordings(folder, sample_rate=rate, piece_seconds=length)
        for name, length in others.items()
        if (folder := getattr(arguments, name)) is not None
    }
    scenes = Soundscapes.of_fold(
        data,
        arguments.fold,
        training=training,
        n_scenes=arguments.n_scenes,
        seed=arguments.seed,
        config=config,
        **recordings,
    )
    return scenes, data
