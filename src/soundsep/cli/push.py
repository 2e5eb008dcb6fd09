"""``soundsep push``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from soundsep.cli.console import say
from soundsep.cli.options import Commands
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "push",
        help="share a model of your own on the Hugging Face Hub",
        description="Put a model that `soundsep fit` or `soundsep train` wrote into a repository "
        "on the Hugging Face Hub, with a model card. Log in first, with `hf auth login`, or set "
        "HF_TOKEN. Then `--model ORG/REPO` uses it anywhere.",
        epilog="example: soundsep push my-model me/insects --licence cc-by-4.0",
    )
    command.add_argument("model", type=Path, metavar="DIR", help="folder of the model")
    command.add_argument("repository", metavar="ORG/REPO", help="created if it does not exist")
    command.add_argument(
        "--licence",
        "--license",
        metavar="ID",
        help="licence in the card, such as cc-by-4.0 (default: none is stated)",
    )
    command.add_argument(
        "--private",
        action="store_true",
        help="create the repository so that only its owners see it",
    )
    command.add_argument(
        "--half", action="store_true", help="store weights as float16: half the size"
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.classifier import Classifier

    folder = arguments.model
    classifier = Classifier.from_pretrained(folder)
    address = classifier.push_to_hub(
        arguments.repository,
        licence=arguments.licence,
        card=_text(folder / "README.md"),
        report=_report(folder / "fit_report.json"),
        private=arguments.private,
        half=arguments.half,
    )
    say(f"pushed {folder} to {arguments.repository}: {address}")
    say(f"  soundsep classify --model {arguments.repository} FILE")
    return 0


def _text(path: Path) -> str | None:
    from soundsep.errors import ConfigError

    try:
        return path.read_text("utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _report(path: Path) -> dict[str, Any] | None:
    from soundsep.errors import ConfigError
    from soundsep.files import parse_json

    text = _text(path)
    try:
        content = None if text is None else parse_json(text)
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    return content if isinstance(content, dict) else None
