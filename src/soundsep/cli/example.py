"""``soundsep example``."""

from __future__ import annotations

import argparse

from soundsep.cli.console import say
from soundsep.cli.options import Commands

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "example",
        help="list recordings to try",
        description="Print the path of an example recording; without a name, list all of them. A "
        "csv file beside each says what sounds when.",
        epilog="example: soundsep example knock",
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="print the path of this one")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.examples import ABOUT, example

    if arguments.name is not None:
        say(example(arguments.name))
        return 0
    width = max(map(len, ABOUT))
    for name, about in ABOUT.items():
        say(f"{name:<{width}}  {about}")
    return 0
