"""``soundsep evaluate-events``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from soundsep.cli.console import say
from soundsep.cli.data import refuse_fold, refuse_learnt
from soundsep.cli.options import (
    Commands,
    add_batch_size,
    add_device,
    add_overwrite,
    add_runtime,
)
from soundsep.cli.output import check_output, writing
from soundsep.cli.scene_options import add_scene_options, scene_config, scenes_of
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "evaluate-events",
        help="measure how well a model finds events",
        description="Mix clips of the held-out fold into reproducible scenes, find the events in "
        "them, and compare: label with both ends within 1 s and within 200 ms, label with any "
        "overlap, labels alone, error rate and spurious events per hour.",
        epilog="example: soundsep evaluate-events esc50-mn04-fold5 --data ESC-50 --fold 5",
    )
    command.add_argument("model", metavar="MODEL", help="a name, a folder, or org/repo")
    add_scene_options(command, n_default=5)
    command.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="score that begins an event (default: that of `soundsep events`)",
    )
    command.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="step between windows (default: that of `soundsep events`)",
    )
    command.add_argument(
        "--psds",
        action="store_true",
        help="also compute polyphonic sound detection scores, with sed_scores_eval (extra eval)",
    )
    command.add_argument(
        "--any-clip",
        action="store_true",
        help="allow measuring a model on clips that `soundsep fit` taught it",
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the metrics as JSON"
    )
    add_overwrite(command, "a metrics file")
    add_device(command)
    add_runtime(command)
    add_batch_size(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.evaluation import EventOptions, measure_events
    from soundsep.evaluation.psds import import_sed_scores_eval
    from soundsep.files import write_bytes
    from soundsep.pipeline import Pipeline

    model = arguments.model
    refuse_fold(model, arguments.fold)
    if arguments.output is not None:
        check_output(arguments.output, overwrite=arguments.overwrite)
    if arguments.psds:
        import_sed_scores_eval()
    config = scene_config(arguments)
    pipe = Pipeline.from_pretrained(model, device=arguments.device, runtime=arguments.runtime)
    scenes, dataset = scenes_of(arguments, config)
    if not arguments.any_clip:
        refuse_learnt(model, [clip for clip in dataset.clips if clip.fold == arguments.fold])
    options: EventOptions = {}
    if arguments.threshold is not None:
        options["threshold"] = arguments.threshold
    if arguments.hop is not None:
        options["hop_seconds"] = arguments.hop
    metrics = measure_events(
        pipe,
        scenes,
        dataset.labels,
        psds=arguments.psds,
        batch_size=arguments.batch_size,
        **options,
    )
    figures = {
        "model": model,
        "data": arguments.data.resolve().name,
        "fold": arguments.fold,
        "seed": arguments.seed,
        "config": config.to_dict(),
        **options,
        **metrics.to_dict(),
    }
    text = json.dumps(figures, indent=2)
    if arguments.json:
        say(text)
    else:
        say(f"{model}, fold {arguments.fold} of {figures['data']}, seed {arguments.seed}")
        say(str(metrics))
    if arguments.output is not None:
        with writing(arguments.output):
            write_bytes(arguments.output, f"{text}\n".encode())
    return 0
