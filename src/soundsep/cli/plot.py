"""``soundsep plot``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soundsep.cli.console import say
from soundsep.cli.options import (
    DEFAULT_EVENT_MODEL,
    Commands,
    add_batch_size,
    add_device,
    add_model,
    at_least_1,
)
from soundsep.cli.output import check_output
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]

# Each KIND is drawn by the function plot_KIND of soundsep.plots.
OF_SOUND = {
    "waveform": "amplitude over time",
    "stft": "short-time Fourier transform in dB",
    "mel": "mel spectrogram in dB",
    "mfcc": "mel-frequency cepstral coefficients",
    "gammatone": "gammatonegram in dB",
    "3d": "spectrogram as a surface",
    "probabilities": "scores of a model over time",
}
OF_TRAINING = {
    "curves": (
        "RUN",
        "losses and scores of a training run",
        "folder that `soundsep train` wrote",
        "runs/fold5",
    ),
    "confusion": (
        "JSON",
        "confusion matrix",
        "file that `soundsep evaluate` wrote, or fit_report.json of `soundsep fit`",
        "esc50-mn04-fold5.json",
    ),
}


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "plot",
        help="draw a sound, a training run or an evaluation",
        description="Draw a picture of a recording, a training run or an evaluation. It needs the "
        'extra "plot" (pip install "soundsep[plot]").',
        epilog="example: soundsep plot mel yard.wav -o yard.png",
    )
    kinds = command.add_subparsers(title="kinds", metavar="KIND", required=True, dest="kind")
    for kind, help_text in OF_SOUND.items():
        drawing = _add_kind(kinds, kind, "FILE", help_text, "a recording", "yard.wav")
        drawing.add_argument(
            "--start",
            type=_seconds,
            default=0.0,
            metavar="SECONDS",
            help="where in the recording the picture begins (default: 0)",
        )
        drawing.add_argument(
            "--duration",
            type=_seconds,
            metavar="SECONDS",
            help="length of what is drawn (default: to the end)",
        )
        if kind == "probabilities":
            add_model(drawing, DEFAULT_EVENT_MODEL)
            drawing.add_argument(
                "--top",
                type=at_least_1,
                default=10,
                metavar="K",
                help="number of labels shown at most (default: 10)",
            )
            add_device(drawing)
            add_batch_size(drawing)
        _finish(drawing, kind, _draw_sound)
    for kind, about in OF_TRAINING.items():
        _finish(_add_kind(kinds, kind, *about), kind, _draw_training)


def _add_kind(
    kinds: Commands, kind: str, metavar: str, help_text: str, file_help: str, file: str
) -> argparse.ArgumentParser:
    drawing: argparse.ArgumentParser = kinds.add_parser(
        kind,
        help=help_text,
        description=f"Draw: {help_text}.",
        epilog=f"example: soundsep plot {kind} {file} -o {kind}.png",
    )
    drawing.add_argument("file", metavar=metavar, help=file_help)
    return drawing


def _finish(
    drawing: argparse.ArgumentParser, kind: str, draw: Callable[[argparse.Namespace, Path], None]
) -> None:
    drawing.add_argument("--overwrite", action="store_true", help="replace an existing picture")
    drawing.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PICTURE",
        help="file to write: png, pdf, svg... (default: the name of what is drawn with "
        f"-{kind}.png, in the current folder)",
    )

    def run(arguments: argparse.Namespace) -> int:
        import_torch()
        name = Path(arguments.file).resolve().stem
        output = arguments.output or Path(f"{name}-{kind}.png")
        check_output(output, overwrite=arguments.overwrite, recordings=[arguments.file])
        draw(arguments, output)
        say(f"wrote {output}")
        return 0

    drawing.set_defaults(run=run)


def _draw_sound(arguments: argparse.Namespace, output: Path) -> None:
    from soundsep import plots

    options: dict[str, Any] = {
        "start_seconds": arguments.start,
        "duration_seconds": arguments.duration,
        "path": output,
    }
    if arguments.kind == "probabilities":
        options |= {
            "model": arguments.model,
            "device": arguments.device,
            "batch_size": arguments.batch_size,
            "top_k": arguments.top,
        }
    getattr(plots, f"plot_{arguments.kind}")(arguments.file, **options)


def _draw_training(arguments: argparse.Namespace, output: Path) -> None:
    from soundsep import plots

    getattr(plots, f"plot_{arguments.kind}")(arguments.file, path=output)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}") from error
