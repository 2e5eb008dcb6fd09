"""``soundsep separate``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from soundsep.cli.options import Commands, channel_options, device_options
from soundsep.errors import AudioError, ConfigError

__all__ = ["add_command"]

DEFAULT_SEPARATOR = "esc50-mix2"


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "separate",
        parents=[channel_options(), device_options()],
        help="take recordings apart into their sources",
        description="Take recordings apart into their sources: one WAV file each, in a folder "
        "named after the recording. A recording that cannot be read is reported and the others go "
        "on; the exit code is then 1.",
    )
    command.add_argument("files", nargs="+", metavar="FILE", help="recordings, of any length")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("separated"),
        metavar="DIR",
        help="where the folders are made (default: separated)",
    )
    command.add_argument(
        "--model",
        default=DEFAULT_SEPARATOR,
        help="a published separator, a model of demucs such as htdemucs, a folder, or org/repo "
        f"(default: {DEFAULT_SEPARATOR})",
    )
    command.add_argument("--overwrite", action="store_true", help="replace sources that exist")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    folders = _folders(arguments)
    from soundsep.separator import Separator

    separator = Separator.from_pretrained(arguments.model, device=arguments.device)
    n_failed = 0
    for file, folder in folders.items():
        try:
            paths = separator.separate_to_dir(
                file, folder, overwrite=arguments.overwrite, channel=arguments.channel
            )
        except AudioError as error:
            n_failed += 1
            print(f"soundsep: {error}", file=sys.stderr)
        else:
            print(f"{file}: {', '.join(str(path) for path in paths.values())}")
    if n_failed and len(folders) > 1:
        print(f"soundsep: {n_failed} of {len(folders)} recordings failed", file=sys.stderr)
    return 1 if n_failed else 0


def _folders(arguments: argparse.Namespace) -> dict[str, Path]:
    """Where the sources of each recording go; looked at before hours are spent on the first."""
    folders = {file: arguments.output / Path(file).stem for file in arguments.files}
    files: dict[Path, str] = {}
    for file, folder in folders.items():
        if (other := files.setdefault(folder, file)) != file:
            raise ConfigError(
                f"{other} and {file} would both be written to {folder}; separate them one by one, "
                "with another -o"
            )
        if folder.exists() and not arguments.overwrite:
            raise ConfigError(
                f"{folder} exists already; give another -o, or --overwrite to replace sources"
            )
    return folders
