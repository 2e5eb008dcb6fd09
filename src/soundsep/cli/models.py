"""``soundsep models``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from soundsep.cli.console import say
from soundsep.cli.options import Commands

if TYPE_CHECKING:
    from soundsep.checkpoints.registry import PublishedModel

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "models",
        help="list the published models",
        description="List the published models with size, accuracy and licence.",
    )
    command.add_argument("--json", action="store_true", help="print a JSON list")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.checkpoints.registry import PUBLISHED, published_results

    results = published_results()
    rows = [_row(name, model, results.get(name)) for name, model in PUBLISHED.items()]
    if arguments.json:
        say(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        say(f"{row['name']}  ({row['size_mb']} MB)")
        say(f"  {row['description']}")
        if result := row["result"]:
            say(f"  {_figure(result)} on {result['data']}, {result['protocol']}")
        if row["reported"]:
            say(f"  {row['reported']}, as reported by its authors")
        if not row["verified"]:
            say(f"  not verified here, so to be downloaded by hand: {row['source']}")
        say(f"  licence: {row['licence']}")
    return 0


def _figure(result: dict[str, Any]) -> str:
    if "accuracy" in result:
        return f"{result['accuracy']:.2%}"
    return f"SI-SDR improved by {result['si_sdr_improvement_mean_db']:.1f} dB"


def _row(name: str, model: PublishedModel, result: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name,
        "size_mb": round(sum(file.size for file in model.files) / 1e6, 1),
        "licence": model.licence,
        "description": model.description,
        "result": result,
        "reported": model.upstream.reported if model.upstream else None,
        "source": model.files[0].url,
        "verified": all(file.sha256 for file in model.files),
    }
