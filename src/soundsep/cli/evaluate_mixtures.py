"""``soundsep evaluate-mixtures``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from soundsep.cli.console import say
from soundsep.cli.data import refuse_fold, refuse_learnt
from soundsep.cli.options import (
    DEFAULT_MODEL,
    Commands,
    add_batch_size,
    add_data,
    add_device,
    add_overwrite,
    at_least_1,
)
from soundsep.cli.output import check_output, writing
from soundsep.cli.startup import import_torch

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "evaluate-mixtures",
        help="measure what separating gains for naming",
        description="Mix clips of the held-out fold reproducibly and count how many of their "
        "sounds are named: without separation, with each separator, and with the true sources, "
        "which is the upper bound of separation.",
        epilog="example: soundsep evaluate-mixtures --data ESC-50 --separator esc50-mix2",
    )
    command.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help=f"the classifier: a name, a folder, or org/repo (default: {DEFAULT_MODEL})",
    )
    add_data(command)
    command.add_argument(
        "--separator",
        action="append",
        default=[],
        metavar="NAME",
        help="a published separator, a demucs model, or a folder; may be repeated",
    )
    command.add_argument(
        "--mixtures",
        type=at_least_1,
        default=500,
        metavar="N",
        help="number of mixtures (default: 500)",
    )
    command.add_argument(
        "--seed", type=int, default=0, help="seed of the mixtures (default: 0, the benchmark)"
    )
    command.add_argument(
        "--any-clip",
        action="store_true",
        help="allow measuring a model on clips that `soundsep fit` taught it",
    )
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the metrics as JSON"
    )
    add_overwrite(command, "a metrics file")
    add_device(command)
    add_batch_size(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.classifier import Classifier
    from soundsep.datasets import ESC50, MixtureConfig, Mixtures, load_examples
    from soundsep.devices import to_device
    from soundsep.errors import ConfigError
    from soundsep.evaluation.mixtures import measure_naming, measure_separation
    from soundsep.files import write_json
    from soundsep.separator import Separator

    for name in (arguments.model, *arguments.separator):
        refuse_fold(name, arguments.fold)
    if arguments.output is not None:
        check_output(arguments.output, overwrite=arguments.overwrite)
    config = MixtureConfig()
    dataset = ESC50(arguments.data, folds=[arguments.fold])
    if not arguments.any_clip:
        refuse_learnt(arguments.model, dataset.clips)
    examples = load_examples(dataset.clips, sample_rate=config.sample_rate)
    mixtures = Mixtures(examples, n_mixtures=arguments.mixtures, seed=arguments.seed, config=config)
    classifier = to_device(Classifier.from_pretrained(arguments.model), arguments.device).eval()
    if classifier.labels != dataset.labels:
        raise ConfigError(f"{arguments.model} does not know the labels of {dataset.name}")
    separators = {
        name: Separator.from_pretrained(name, device=arguments.device)
        for name in arguments.separator
    }
    ways: dict[str, dict[str, Any]] = {
        "no separation": {},
        **{name: {"separator": separator} for name, separator in separators.items()},
        "true sources": {"use_true_sources": True},
    }
    figures = {
        way: measure_naming(classifier, mixtures, batch_size=arguments.batch_size, **options)
        for way, options in ways.items()
    }
    say(
        f"{arguments.model}, {len(mixtures)} mixtures of two clips of fold {arguments.fold} of "
        f"{dataset.name}, seed {arguments.seed}"
    )
    width = max(map(len, figures))
    say(f"{'':<{width}}  both in top 2  one in top 1     mAP")
    for way, f in figures.items():
        say(
            f"{way:<{width}}  {f.all_found:>13.1%}  {f.one_found:>12.1%}  "
            f"{f.mean_average_precision:>6.3f}"
        )
    written: dict[str, Any] = {"naming": {way: f.to_dict() for way, f in figures.items()}}
    for name, separator in separators.items():
        if (len(separator.sources), separator.sample_rate) == (2, config.sample_rate):
            separation = measure_separation(separator, mixtures).to_dict(dataset.labels)
            written.setdefault("separation", {})[name] = separation
            say(
                f"{name}: SI-SDR improvement {separation['si_sdr_improvement_mean_db']:.2f} dB "
                f"(mean), {separation['si_sdr_improvement_median_db']:.2f} dB (median); "
                f"{separation['share_of_mixtures_made_worse']:.1%} made worse"
            )
    if arguments.output is not None:
        with writing(arguments.output):
            write_json(arguments.output, written)
        say(f"wrote {arguments.output}")
    return 0
