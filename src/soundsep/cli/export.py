"""``soundsep export``."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundsep.cli.console import say
from soundsep.cli.options import Commands, add_overwrite
from soundsep.cli.output import check_output
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "export",
        help="write a model as one ONNX file",
        description="Write a model as one ONNX file, from waveform to scores, that runs without "
        "soundsep and torch. It is compared with PyTorch first; if the scores differ, nothing is "
        "written and the exit code is 2.",
        epilog="example: soundsep export esc50-mn04 -o sounds.onnx",
    )
    command.add_argument("model", metavar="MODEL", help="a name, a folder, or org/repo")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the file (default: MODEL.onnx)"
    )
    command.add_argument(
        "--int8",
        action="store_true",
        help="quantise the network to 8 bits: other scores, in a file that is smaller "
        "where the network is large",
    )
    command.add_argument(
        "--tolerance",
        type=float,
        metavar="X",
        help="largest accepted difference of a score from PyTorch's (default: 0.0001)",
    )
    command.add_argument(
        "--frames",
        action="store_true",
        help="add the model's frame scores as a second output",
    )
    add_overwrite(command, "a file")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.classifier import Classifier
    from soundsep.export import TOLERANCE, export_onnx

    name = Path(arguments.model).resolve().name
    output = arguments.output or Path(f"{name}.onnx")
    check_output(output, overwrite=arguments.overwrite)
    classifier = Classifier.from_pretrained(arguments.model)
    tolerance = TOLERANCE if arguments.tolerance is None else arguments.tolerance
    report = export_onnx(
        classifier,
        output,
        name=name,
        int8=arguments.int8,
        tolerance=tolerance,
        frames=arguments.frames,
    )
    say(f"wrote {report.path} ({report.size_bytes / 1e6:.1f} MB)")
    say(
        f"against PyTorch on {report.n_checks} synthetic clips: largest difference of a score "
        f"{report.max_difference:.2g}, same best label on {report.same_top:.1%}"
    )
    return 0
