"""``soundsep evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep._version import __version__
from soundsep.cli.console import note, say
from soundsep.cli.data import DATA_HELP, open_dataset
from soundsep.cli.options import (
    Commands,
    add_batch_size,
    add_device,
    add_overwrite,
    add_runtime,
    at_least_1,
)
from soundsep.cli.output import check_output, writing
from soundsep.cli.startup import import_torch

if TYPE_CHECKING:
    from soundsep.datasets.clip import FoldedClips
    from soundsep.evaluation import Evaluation
    from soundsep.pipeline import Pipeline

__all__ = ["add_command"]


def add_command(commands: Commands) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "evaluate",
        help="measure how well a model names clips",
        description="Classify every clip of one fold of a data set, or of your own folder or table "
        "of clips. Print accuracy, macro precision, recall and F1, calibration and the most common "
        "confusions, and write them with the whole confusion matrix to a file. A clip that cannot "
        "be used is reported and left out, and the exit code is 1.",
        epilog="example: soundsep evaluate runs/fold5/ema --data ESC-50 --fold 5",
    )
    command.add_argument("model", metavar="MODEL", help="a name, a folder, or org/repo")
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="ROOT",
        help=f"{DATA_HELP}; repeat it for a model of urban11",
    )
    command.add_argument(
        "--annotations",
        type=Path,
        metavar="CSV",
        help="a table of your own clips, instead of --data",
    )
    command.add_argument(
        "--fold",
        type=_fold,
        metavar="N",
        help="the fold to measure on, or 'all': every fold k by the model MODEL-foldk, pooled "
        "(default: the fold a published model was not trained on, else the last one; all of your "
        "own clips, if they have no folds or the model is a published one). Clips without folds "
        "are divided into folds as in `soundsep train`",
    )
    command.add_argument(
        "--any-fold",
        "--any-clip",
        action="store_true",
        help="allow measuring a published model on a fold it was trained on, and your own model on "
        "clips that it was fitted to",
    )
    command.add_argument(
        "--shifts",
        type=at_least_1,
        default=1,
        metavar="N",
        help="test-time augmentation: average the scores of N circular shifts of every window "
        "(default: 1)",
    )
    command.add_argument(
        "--separator", metavar="NAME", help="separate every clip first with this separator"
    )
    command.add_argument(
        "--per-class", action="store_true", help="print the metrics of every class too"
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="JSON file for metrics and confusion matrix (default: MODEL-foldN.json)",
    )
    add_overwrite(command, "a metrics file")
    add_device(command)
    add_runtime(command)
    add_batch_size(command)
    command.set_defaults(run=_run)


def _fold(text: str) -> int | str:
    return "all" if text == "all" else at_least_1(text)


def _run(arguments: argparse.Namespace) -> int:
    import_torch()
    from soundsep.evaluation import Evaluation

    model, fold = arguments.model, arguments.fold
    if arguments.output is not None:
        check_output(arguments.output, overwrite=arguments.overwrite)
    if fold == "all":
        output = _output(arguments, "foldall")
        pipe, dataset = _open(arguments, f"{model}-fold1", 1)
        parts = [_measure(arguments, pipe, dataset)]
        for k in dataset.fold_numbers[1:]:
            parts.append(_measure(arguments, *_open(arguments, f"{model}-fold{k}", k)))
        say(f"{model} on {dataset.name}, every fold by the model that was not trained on it")
        for k, part in zip(dataset.fold_numbers, parts, strict=True):
            say(f"fold {k:<13} {part.metrics.accuracy:.2%}")
        mean = sum(part.metrics.accuracy for part in parts) / len(parts)
        say(f"mean over folds    {mean:.2%}")
        evaluation = Evaluation.pooled(parts)
    else:
        pipe, dataset = _open(arguments, model, fold)
        folds = {clip.fold for clip in dataset.clips}
        fold = folds.pop() if len(folds) == 1 else None
        output = _output(arguments, f"fold{fold}" if fold else dataset.name)
        evaluation = _measure(arguments, pipe, dataset)
        say(f"{model} on {dataset.name}, {f'fold {fold}' if fold else 'all clips'}")
    say(evaluation)
    if arguments.per_class:
        say(evaluation.class_table())
    about = {
        "model": model,
        "data": dataset.name,
        "fold": fold,
        "n_shifts": arguments.shifts,
        "soundsep_version": __version__,
    }
    with writing(output):
        evaluation.save(output, about=about)
    say(f"wrote {output}, with the whole confusion matrix")
    if evaluation.skipped:
        note(f"clips that could not be used: {len(evaluation.skipped)}; the file says why")
    return 1 if evaluation.skipped else 0


def _output(arguments: argparse.Namespace, where: str) -> Path:
    """The metrics file, given or default, checked before the work."""
    if arguments.output is None:
        output = Path(f"{Path(arguments.model).resolve().name}-{where}.json")
        check_output(output, overwrite=arguments.overwrite)
        return output
    return Path(arguments.output)


def _open(
    arguments: argparse.Namespace, model: str, fold: int | None
) -> tuple[Pipeline, FoldedClips]:
    from soundsep.checkpoints.registry import PUBLISHED
    from soundsep.datasets import AudioFolder, AudioTable, Concatenation
    from soundsep.errors import ConfigError
    from soundsep.labels import URBAN11_LABELS
    from soundsep.pipeline import Pipeline

    held_out = PUBLISHED[model].test_fold if model in PUBLISHED else None
    wanted = fold or held_out
    pipe = Pipeline.from_pretrained(
        model,
        separator=arguments.separator,
        device=arguments.device,
        runtime=arguments.runtime,
    )
    dataset = open_dataset(
        arguments.data,
        is_urban11=pipe.labels == URBAN11_LABELS,
        annotations=arguments.annotations,
        folds=[wanted] if wanted else None,
        is_split=fold is not None,
    )
    for warning in dataset.notes:
        note(f"warning: {warning}")
    is_own = isinstance(dataset, (AudioFolder, AudioTable))
    if held_out not in (None, wanted) and not is_own and not arguments.any_fold:
        raise ConfigError(
            f"{model} was trained on fold {fold}, so its metrics there say nothing; measure it "
            f"with --fold {held_out}, which was held out, or insist with --any-fold"
        )
    if fold and not dataset.fold_numbers:
        dataset = Concatenation([dataset])  # which assigns folds as in training
    elif dataset.fold_numbers and not (is_own and model in PUBLISHED):
        fold = wanted or dataset.fold_numbers[-1]
    if fold:
        if fold not in dataset.fold_numbers:
            raise ConfigError(f"no clips in fold {fold}; there are {dataset.fold_numbers}")
        dataset.clips = tuple(clip for clip in dataset.clips if clip.fold == fold)
    if model not in PUBLISHED and not arguments.any_fold:
        _leave_out_learnt(model, dataset)
    return pipe, dataset


def _leave_out_learnt(model: str, dataset: FoldedClips) -> None:
    """Leave out the clips that ``soundsep fit`` or ``train`` taught the model.

    Raises:
        ConfigError: they are all clips.
    """
    from soundsep.errors import ConfigError
    from soundsep.names import local_path
    from soundsep.training.learnt import learnt_clips

    learnt = set(learnt_clips(local_path(model), dataset.clips))
    if not learnt:
        return
    if len(learnt) == len(dataset.clips):
        raise ConfigError(
            f"{model} was fitted to all {len(learnt)} clips, so its metrics there say nothing; "
            "fit_report.json in its folder, or test.json beside that of a training, has those of "
            "recordings held out. Give other recordings, or insist with --any-clip"
        )
    note(
        f"left out {len(learnt)} of {len(dataset.clips)} clips, which {model} was fitted to, or "
        "others of the same files; --any-clip measures on them too"
    )
    dataset.clips = tuple(clip for clip in dataset.clips if clip not in learnt)


def _measure(arguments: argparse.Namespace, pipe: Pipeline, dataset: FoldedClips) -> Evaluation:
    from soundsep.evaluation import evaluate

    batch_size, n_shifts = arguments.batch_size, arguments.shifts
    return evaluate(pipe, dataset.clips, batch_size=batch_size, n_shifts=n_shifts, errors="skip")
