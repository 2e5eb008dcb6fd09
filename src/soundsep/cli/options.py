"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundsep.checkpoints.registry import DEFAULT_EVENT_MODEL, DEFAULT_MODEL

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]  # what add_subparsers returns has no public name
else:
    Commands = object

__all__ = [
    "DEFAULT_EVENT_MODEL",
    "DEFAULT_MODEL",
    "add_batch_size",
    "add_channel",
    "add_data",
    "add_device",
    "add_doubt",
    "add_folder",
    "add_model",
    "add_overwrite",
    "add_processes",
    "add_runtime",
    "add_seed",
    "at_least_0",
    "at_least_1",
]


def at_least_1(text: str) -> int:
    """A positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return int(text)


def at_least_0(text: str) -> int:
    """A non-negative integer."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a non-negative integer, got {text!r}")
    return int(text)


def add_model(command: argparse.ArgumentParser, default: str) -> None:
    """--model."""
    command.add_argument(
        "--model",
        default=default,
        help=f"a name of `soundsep models`, a folder, or org/repo on the Hugging Face Hub "
        f"(default: {default})",
    )


def add_channel(command: argparse.ArgumentParser) -> None:
    """--channel."""
    command.add_argument(
        "--channel",
        type=at_least_0,
        metavar="N",
        help="use this channel only, counted from 0 (default: all)",
    )


def add_device(command: argparse.ArgumentParser) -> None:
    """--device."""
    command.add_argument(
        "--device", default="cpu", help="where the model runs: cpu, cuda, mps... (default: cpu)"
    )


def add_runtime(command: argparse.ArgumentParser) -> None:
    """--runtime."""
    command.add_argument(
        "--runtime",
        choices=("torch", "onnx"),
        default="torch",
        help="what the model's network runs in; onnx (extra onnx) is faster on a CPU "
        "(default: torch)",
    )


def add_doubt(command: argparse.ArgumentParser) -> None:
    """--unknown and --silence-db."""
    command.add_argument(
        "--unknown",
        action="store_true",
        help="give no label where the model is not sure; for models that otherwise always give "
        f"one, such as {DEFAULT_MODEL}",
    )
    command.add_argument(
        "--silence-db",
        type=float,
        metavar="DBFS",
        help="level below which sound counts as silence, such as -60 (default: none)",
    )


def add_batch_size(command: argparse.ArgumentParser) -> None:
    """--batch-size."""
    command.add_argument(
        "--batch-size",
        type=at_least_1,
        default=16,
        metavar="N",
        help="windows per forward pass (default: 16)",
    )


def add_processes(command: argparse.ArgumentParser) -> None:
    """--processes."""
    command.add_argument(
        "--processes",
        type=at_least_1,
        default=1,
        metavar="N",
        help="share out many recordings among N processes, each with a model of its own; one for "
        "each core is fastest (default: 1)",
    )


def add_folder(command: argparse.ArgumentParser, what: str) -> None:
    """--output, a folder."""
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help=f"folder for {what}"
    )


def add_overwrite(command: argparse.ArgumentParser, what: str) -> None:
    """--overwrite."""
    command.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def add_seed(command: argparse.ArgumentParser) -> None:
    """--seed."""
    command.add_argument(
        "--seed", type=int, default=0, help="seed of all random numbers (default: 0)"
    )


def add_data(command: argparse.ArgumentParser) -> None:
    """--data and --fold."""
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="ROOT",
        help="folder of ESC-50, with meta/esc50.csv and audio/",
    )
    command.add_argument(
        "--fold", type=int, choices=range(1, 6), default=5, help="the fold held out (default: 5)"
    )
