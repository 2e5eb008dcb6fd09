"""``soundsep evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundsep.cli.options import Commands, batch_options, data_options, device_options

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Tell the parser of it."""
    command = commands.add_parser(
        "evaluate",
        parents=[device_options(), batch_options(), data_options()],
        help="measure a model on one fold of ESC-50",
        description="Classify every clip of one fold of ESC-50 and print accuracy, macro "
        "precision, recall and F1, calibration and the commonest mistakes; write them, with the "
        "whole confusion matrix, to a file.",
    )
    command.add_argument("model", metavar="MODEL", help="a name, a folder, or org/repo")
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where the figures and the confusion matrix go, as JSON (default: MODEL-foldN.json)",
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from soundsep.datasets import ESC50
    from soundsep.evaluation import evaluate
    from soundsep.pipeline import Pipeline

    clips = ESC50(arguments.data, folds=[arguments.fold]).clips
    pipe = Pipeline.from_pretrained(arguments.model, device=arguments.device)
    evaluation = evaluate(pipe, clips, batch_size=arguments.batch_size)
    print(f"{arguments.model} on ESC-50, fold {arguments.fold}")
    print(evaluation)
    name = Path(arguments.model).resolve().name
    output = arguments.output or Path(f"{name}-fold{arguments.fold}.json")
    evaluation.save(output)
    print(f"wrote {output}, with the whole confusion matrix")
    return 0
