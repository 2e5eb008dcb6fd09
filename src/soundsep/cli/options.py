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
    "at_least_1",
    "batch_options",
    "channel_options",
    "data_options",
    "device_options",
    "doubt_options",
    "overwrite_option",
    "runtime_options",
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


def channel_options() -> argparse.ArgumentParser:
    """--channel."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--channel",
        type=at_least_0,
        metavar="N",
        help="use this channel only, counted from 0 (default: all, mixed)",
    )
    return parent


def device_options() -> argparse.ArgumentParser:
    """--device."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--device", default="cpu", help="cpu, cuda, mps... (default: cpu)")
    return parent


def runtime_options() -> argparse.ArgumentParser:
    """--runtime."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--runtime",
        choices=("torch", "onnx"),
        default="torch",
        help="what the model's network runs in; onnx (extra onnx) is faster on a CPU "
        "(default: torch)",
    )
    return parent


def doubt_options() -> argparse.ArgumentParser:
    """--unknown and --silence-db."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--unknown", action="store_true", help="leave sounds unnamed if the model is not sure"
    )
    parent.add_argument(
        "--silence-db",
        type=float,
        metavar="DBFS",
        help="level below which sound counts as silence, such as -60",
    )
    return parent


def batch_options() -> argparse.ArgumentParser:
    """--batch-size."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--batch-size",
        type=at_least_1,
        default=16,
        metavar="N",
        help="windows per forward pass (default: 16)",
    )
    return parent


def overwrite_option(what: str) -> argparse.ArgumentParser:
    """--overwrite."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--overwrite", action="store_true", help=f"replace {what}")
    return parent


def data_options() -> argparse.ArgumentParser:
    """--data and --fold."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="ROOT",
        help="folder of ESC-50, with meta/esc50.csv and audio/",
    )
    parent.add_argument(
        "--fold", type=int, choices=range(1, 6), default=5, help="the fold held out (default: 5)"
    )
    return parent
