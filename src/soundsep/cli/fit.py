"""``soundsep fit``."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundsep.cli.console import note, say
from soundsep.cli.options import Commands, at_least_1, device_options, overwrite_option
from soundsep.cli.output import check_free, writing
from soundsep.cli.recordings import note_passed_over

__all__ = ["add_command"]

DEFAULT_BACKBONE = "audioset-mn04"
REPORT = "fit_report.json"
FILES = ("config.json", "model.safetensors", REPORT)
HINT = "name another folder, or --overwrite to replace the model in it"


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "fit",
        parents=[overwrite_option("a model"), device_options()],
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
        note_passed_over(data.passed_over)
    for name in FILES:
        check_free(arguments.output / name, overwrite=arguments.overwrite, hint=HINT)
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
    with writing(arguments.output / REPORT):
        report.save(arguments.output / REPORT)
    say(report)
    say(f"\nwrote {arguments.output}; use it with")
    say(f"  soundsep classify --model {arguments.output} FILE")
    for _, reason in report.skipped:
        note(f"left out: {reason}")
    return 1 if report.skipped else 0
