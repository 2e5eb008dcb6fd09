"""``soundsep fit``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from soundsep.cli.options import Commands, at_least_1, device_options

__all__ = ["add_command"]

DEFAULT_BACKBONE = "audioset-mn04"


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "fit",
        parents=[device_options()],
        help="make a model for classes of your own",
        description="Make a model for the classes of a folder that holds one subfolder of "
        "recordings for each, from 5 recordings a class on, and measure it by cross-validation. A "
        "recording that cannot be used is reported and left out; the exit code is then 1.",
    )
    command.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="one subfolder a class; or a table of clips, CSV, with the columns path and label",
    )
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="for model and report"
    )
    command.add_argument(
        "--backbone",
        default=DEFAULT_BACKBONE,
        metavar="MODEL",
        help="what to build upon: a name of `soundsep models`, a folder, or org/repo "
        f"(default: {DEFAULT_BACKBONE})",
    )
    command.add_argument(
        "--mode",
        choices=("probe", "finetune"),
        default="probe",
        help="learn the last layer, in seconds, or the later layers too (default: probe)",
    )
    command.add_argument(
        "--group",
        metavar="REGEX",
        help="what it matches in a file's name is the recording that the file was cut from; its "
        "clips are held out together (default: the folder below the class, else the file)",
    )
    command.add_argument(
        "--folds", type=at_least_1, default=5, metavar="N", help="at least 2 (default: 5)"
    )
    command.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.datasets import AudioFolder, AudioTable
    from soundsep.errors import ConfigError
    from soundsep.training import fit
    from soundsep.training.state import make_folder

    data: AudioFolder | AudioTable
    if arguments.folder.suffix.lower() == ".csv":
        if arguments.group is not None:
            raise ConfigError("--group goes with a folder; a table has its own column group")
        data = AudioTable(arguments.folder)
    else:
        data = AudioFolder(arguments.folder, group=arguments.group)
    make_folder(arguments.output)  # before the work and not after it
    classifier, report = fit(
        data,
        backbone=arguments.backbone,
        mode=arguments.mode,
        n_folds=arguments.folds,
        seed=arguments.seed,
        device=arguments.device,
        errors="skip",
    )
    classifier.save_pretrained(arguments.output)
    report.save(arguments.output / "fit_report.json")
    print(report)
    print(f"\nwrote {arguments.output}; use it with")
    print(f"  soundsep classify --model {arguments.output} FILE")
    for _, reason in report.skipped:
        print(f"soundsep: left out: {reason}", file=sys.stderr)
    return 1 if report.skipped else 0
