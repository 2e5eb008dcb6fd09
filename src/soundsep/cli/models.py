"""``soundsep models``."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundsep.cli.console import say
from soundsep.cli.options import DEFAULT_EVENT_MODEL, DEFAULT_MODEL, Commands
from soundsep.errors import ConfigError
from soundsep.names import did_you_mean

if TYPE_CHECKING:
    from soundsep.checkpoints.registry import PublishedModel

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "models",
        help="list the published models",
        description="List the published models with size, accuracy and licence, the recommended "
        "one first.",
        epilog="example: soundsep models scenes50-mn04",
    )
    command.add_argument(
        "name", nargs="?", metavar="NAME", help="show one model, with its labels, files and card"
    )
    command.add_argument(
        "--all", action="store_true", help="list the models of single folds too, for measuring"
    )
    command.add_argument("--json", action="store_true", help="print a JSON list")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.checkpoints.registry import PUBLISHED, list_models, published_results

    results = published_results()
    if (name := arguments.name) is not None:
        if name not in PUBLISHED:
            hint = did_you_mean(name, PUBLISHED)
            raise ConfigError(
                f"no published model is called {name!r}{hint}; there are "
                f"{', '.join(list_models(all_folds=True))}"
            )
        row = _row(name, PUBLISHED[name], results.get(name))
        row |= _details(PUBLISHED[name])
        if arguments.json:
            say(json.dumps([row], indent=2))
        else:
            _show(row)
            _show_details(row)
        return 0
    rows = [
        _row(name, PUBLISHED[name], results.get(name))
        for name in list_models(all_folds=arguments.all)
    ]
    if arguments.json:
        say(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        _show(row)
    return 0


def _show(row: dict[str, Any]) -> None:
    default = ", the default" * row["default"] + ", the default for events" * row["events_default"]
    say(f"{row['name']}  ({row['size_mb']} MB{default})")
    _say_below(row["description"])
    if result := row["result"]:
        _say_below(f"{_figure(result)} on {result['data']}, {result['protocol']}")
    if row["reported"]:
        _say_below(f"{row['reported']}, reported by its authors")
    if not row["verified"]:
        say(f"  not verified here, so download it by hand: {row['url']}")
    _say_below(f"licence: {row['licence']}")


def _say_below(text: str) -> None:
    """Print below the name of a model, in lines that fit the terminal."""
    width = shutil.get_terminal_size().columns
    lines = textwrap.wrap(
        text,
        width,
        break_long_words=False,
        break_on_hyphens=False,
        initial_indent="  ",
        subsequent_indent="    ",
    )
    say("\n".join(lines))


def _show_details(row: dict[str, Any]) -> None:
    say(f"  files: {row['folder'] or 'not on this machine; the first use fetches them'}")
    for address in row["addresses"]:
        say(f"  published at {address}")
    if row["labels"]:
        _say_below(f"{len(row['labels'])} labels: {'; '.join(row['labels'])}")
    if row["card"]:
        say(f"\n{row['card']}")


def _details(model: PublishedModel) -> dict[str, Any]:
    """Where a model's files are and where they come from, and what the local files say."""
    from dataclasses import replace

    from soundsep.checkpoints.locate import find_local, release_url

    upstream = model.upstream
    here = find_local(model)
    if upstream is not None and upstream.converted:
        here = find_local(replace(model, files=upstream.converted)) or here
    return {
        "folder": None if here is None else str(here),
        "addresses": [file.url or release_url(model, file) for file in model.files],
        "labels": [] if here is None else _labels(here),
        "card": None if here is None else _card(here / "README.md"),
    }


def _labels(folder: Path) -> list[str]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except OSError:  # another project's file, not converted yet
        return []
    labels: list[str] = config["classifier"]["labels"] if "classifier" in config else []
    return labels


def _card(path: Path) -> str | None:
    """The text of a model card without its metadata; ``None`` if there is no card."""
    if not path.is_file():
        return None
    text = path.read_text("utf-8")
    return text.split("\n---\n", 1)[-1].strip() if text.startswith("---") else text.strip()


def _figure(result: dict[str, Any]) -> str:
    if "accuracy" in result:
        return f"{result['accuracy']:.2%}"
    if "events_f1" in result:
        return (
            f"F1 {result['events_f1']:.2f} for events within 1 s and accuracy "
            f"{result['clips_accuracy']:.2%} for single clips"
        )
    return f"SI-SDR improvement {result['si_sdr_improvement_mean_db']:.1f} dB"


def _row(name: str, model: PublishedModel, result: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name,
        "default": name == DEFAULT_MODEL,
        "events_default": name == DEFAULT_EVENT_MODEL,
        "size_mb": round(sum(file.size for file in model.files) / 1e6, 1),
        "licence": model.licence,
        "description": model.description,
        "result": result,
        "reported": model.upstream.reported if model.upstream else None,
        "url": model.files[0].url,
        "verified": all(file.sha256 for file in model.files),
    }
