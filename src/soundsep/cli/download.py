"""``soundsep download``."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundsep.cli.console import say
from soundsep.cli.options import Commands
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "download",
        help="download a data set from its authors",
        description="Download the official archive of a data set (esc50: 0.6 GB; esc10: the clips "
        "of ESC-50 that may be used commercially; urbansound8k: 6 GB), verify and unpack it. After "
        "an interruption, run the same command again to continue with DIR.partial.",
        epilog="example: soundsep download esc50 ESC-50",
    )
    command.add_argument("name", metavar="NAME", help="esc50, esc10 or urbansound8k")
    command.add_argument("folder", type=Path, metavar="DIR", help="a new folder for it")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.datasets.archives import ARCHIVES, download

    data = download(arguments.name, arguments.folder)
    say(f"{len(data)} clips of {data.name} are in {arguments.folder}")
    say(f"licence: {ARCHIVES[arguments.name].licence}")
    return 0
