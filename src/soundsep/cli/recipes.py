"""``soundsep recipes``."""

from __future__ import annotations

import argparse
import json

from soundsep.cli.console import say
from soundsep.cli.options import Commands
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]

DATA = {
    "esc50": "ESC-50",
    "urbansound8k": "UrbanSound8K",
    "urban11": "ESC-50 and UrbanSound8K",
}


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "recipes",
        help="list the training recipes",
        description="List the recipes of `soundsep train`, with what each needs.",
        epilog="example: soundsep recipes esc50-resnet34",
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="show every setting of one recipe")
    command.add_argument("--json", action="store_true", help="print JSON, with every setting")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.training import RECIPES, get_recipe

    recipes = [get_recipe(arguments.name)] if arguments.name else [*RECIPES.values()]
    if arguments.json:
        say(json.dumps([recipe.to_dict() for recipe in recipes], indent=2))
    elif arguments.name:
        for key, value in recipes[0].to_dict().items():
            say(f"{key:<18} {json.dumps(value)}")
    else:
        for recipe in recipes:
            needs = [DATA[recipe.data], recipe.backbone or "", recipe.teacher or ""]
            features = type(recipe.frontend).kind
            say(f"{recipe.name}\n  {recipe.description}")
            say(f"  {recipe.network} on {features}, {recipe.epochs} epochs")
            say(f"  needs {', '.join(need for need in needs if need)}")
    return 0
