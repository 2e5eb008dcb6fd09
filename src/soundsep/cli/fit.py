"""``soundsep fit``."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundsep.cli.console import note, say
from soundsep.cli.options import (
    Commands,
    add_device,
    add_folder,
    add_overwrite,
    add_seed,
    at_least_1,
)
from soundsep.cli.output import check_free, writing
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]

DEFAULT_BACKBONE = "audioset-mn04"
FILES = ("config.json", "model.safetensors", "fit_report.json")
HINT = "name another folder, or --overwrite to replace the model in it"


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "fit",
        help="train a model on your own classes",
        description="Train a model on your own classes and measure it by cross-validation. The "
        "folder holds one subfolder per class, with at least 5 recordings each; or tables say what "
        "is heard when in long recordings, such as the corrected ones of `soundsep events` and "
        "`soundsep report`. A recording that cannot be used is reported and left out, and the exit "
        "code is 1.",
        epilog="example: soundsep fit clips/ -o my-model",
    )
    command.add_argument(
        "data",
        nargs="+",
        type=Path,
        metavar="DATA",
        help="a folder with one subfolder per class; or tables: CSV with the columns path and "
        "label, and for parts of recordings start_seconds and end_seconds, or labels of Audacity "
        "or Raven in .txt",
    )
    command.add_argument(
        "--recordings",
        type=Path,
        metavar="PATH",
        help="folder to search for the recordings of the tables, or the one recording of tables "
        "that name none (default: where the table says, from its own folder or from this one; "
        "those of .txt tables beside them, by the same name)",
    )
    add_folder(command, "model and report")
    command.add_argument(
        "--backbone",
        default=DEFAULT_BACKBONE,
        metavar="MODEL",
        help="model to start from: a name of `soundsep models`, a folder, or org/repo "
        f"(default: {DEFAULT_BACKBONE})",
    )
    command.add_argument(
        "--mode",
        choices=("probe", "finetune"),
        default="probe",
        help="train the last layer only, in seconds, or the later layers too (default: probe)",
    )
    command.add_argument(
        "--background",
        action="append",
        default=[],
        metavar="FILE",
        help="recordings of places without any of the sounds, folders of them, or patterns: every "
        "label is then learnt by itself, and such places as nothing; may be repeated",
    )
    command.add_argument(
        "--copies",
        action="store_true",
        help="learn each clip from copies of it too, over noise and in rooms; --background and "
        "backbones with frames always do (takes about ten times as long)",
    )
    command.add_argument(
        "--unlabelled",
        action="store_true",
        help="take the parts of the recordings that the tables do not label as backgrounds",
    )
    command.add_argument(
        "--group",
        metavar="REGEX",
        help="the part of a file name that identifies the recording the file was cut from; clips "
        "of one recording are held out together (default: the folder below the class, else what "
        "files cut from one recording have in common, such as garden-1.wav and garden-2.wav)",
    )
    command.add_argument(
        "--folds",
        type=at_least_1,
        default=5,
        metavar="N",
        help="parts that the recordings are split into, each held out once; 2 or more (default: 5)",
    )
    add_seed(command)
    add_overwrite(command, "a model")
    add_device(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.datasets import AudioFolder, AudioTable, Piece
    from soundsep.datasets.audio_table import is_table
    from soundsep.errors import ConfigError
    from soundsep.training import fit
    from soundsep.training.learnt import REPORT_NAME
    from soundsep.training.state import make_folder

    data: AudioFolder | AudioTable
    backgrounds: list[str | Path | Piece] = [*arguments.background]
    if all(map(is_table, arguments.data)):
        if arguments.group is not None:
            raise ConfigError("--group needs a folder; a table has a column named group instead")
        data = AudioTable(*arguments.data, recordings=arguments.recordings)
        if arguments.unlabelled:
            backgrounds += data.unlabelled(errors="skip")
    elif len(arguments.data) > 1:
        raise ConfigError(
            f"expected one folder, or tables in .csv or .txt, got "
            f"{' and '.join(map(str, arguments.data[:3]))}"
        )
    elif arguments.recordings is not None or arguments.unlabelled:
        raise ConfigError("--recordings and --unlabelled need tables, not a folder")
    else:
        data = AudioFolder(arguments.data[0], group=arguments.group)
    for name in FILES:
        check_free(arguments.output / name, overwrite=arguments.overwrite, hint=HINT)
    make_folder(arguments.output)  # before the work, to fail early
    classifier, report = fit(
        data,
        backbone=arguments.backbone,
        mode=arguments.mode,
        backgrounds=backgrounds,
        copies=arguments.copies,
        n_folds=arguments.folds,
        seed=arguments.seed,
        device=arguments.device,
        errors="skip",
    )
    classifier.save_pretrained(arguments.output)
    with writing(arguments.output / REPORT_NAME):
        report.save(arguments.output / REPORT_NAME)
    say(report)
    say(f"\nwrote {arguments.output}; use it with")
    say(f"  soundsep classify --model {arguments.output} FILE")
    if report.skipped:
        note(f"clips or backgrounds left out: {len(report.skipped)}; the report says why")
    return 1 if report.skipped else 0
