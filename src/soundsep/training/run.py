"""Run a recipe on a data set: hold out one fold, train on the others, measure, save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from soundsep.audio.silence import is_silent
from soundsep.classifier import Classifier
from soundsep.config import check_seed
from soundsep.datasets import Clip, Concatenation, load_examples
from soundsep.datasets.clip import FoldedClips
from soundsep.datasets.pieces import all_unusable
from soundsep.datasets.subsets import few_of_each, hold_out, not_learnt
from soundsep.errors import AudioError
from soundsep.evaluation import Evaluation, evaluate
from soundsep.files import read_json_lines
from soundsep.frontends import FrontendConfig
from soundsep.names import local_path
from soundsep.pipeline import Pipeline
from soundsep.training.calibration import held_out_temperature
from soundsep.training.classifier import TrainedClassifier, train
from soundsep.training.examples import Example, check_one_label, note_silent
from soundsep.training.learnt import file_marks, save_learnt
from soundsep.training.probe import probe_classifier
from soundsep.training.recipe import Recipe
from soundsep.training.recipes import get_recipe
from soundsep.training.state import make_folder

__all__ = ["TrainingResult", "default_fold", "train_recipe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """Result of a recipe on a data set.

    Attributes:
        recipe: Recipe of the training.
        fold: Fold that was held out.
        last: Classifier after the last step.
        ema: Classifier with averaged weights, usually the better one.
        rows: Metrics of every epoch, as in ``metrics.jsonl``.
        evaluation: Evaluation of ``ema`` on the held-out fold.
        warnings: Warnings about possible mistakes in the data.
    """

    recipe: Recipe
    fold: int
    last: Classifier
    ema: Classifier
    rows: tuple[dict[str, Any], ...]
    evaluation: Evaluation
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """The recipe, the fold and the accuracy."""
        title = f"{self.recipe.name!r} without fold {self.fold}, {len(self.rows)} epochs"
        return f"TrainingResult({title}: {self.evaluation!r})"

    @property
    def minutes(self) -> float:
        """Duration of all epochs, in minutes."""
        return float(sum(row["seconds"] for row in self.rows)) / 60


def default_fold(dataset: FoldedClips, fold: int | None) -> tuple[FoldedClips, int]:
    """The data set, with folds if it had none, and the fold to hold out.

    Args:
        dataset: Any data set; without folds, `soundsep.datasets.Concatenation` assigns them.
        fold: Fold to hold out; ``None`` for the last one.
    """
    if not dataset.fold_numbers:
        dataset = Concatenation([dataset])
    return dataset, fold or dataset.fold_numbers[-1]


def train_recipe(
    recipe: Recipe | str,
    dataset: FoldedClips,
    fold: int | None = None,
    *,
    output: str | Path,
    validation_fold: int | None = None,
    limit: int | None = None,
    calibrate: bool = False,
    cache: str | Path | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> TrainingResult:
    """Train by a recipe with one fold held out, measure there, and save: ``soundsep train``.

    The same call again resumes an interrupted run. A recipe learns classes of which exactly one
    applies, so clips of several labels (``Clip.also``) are refused.

    Args:
        recipe: Settings, or the name of a recipe (`soundsep.training.RECIPES`).
        dataset: Labelled clips. If they have no folds, their recordings are assigned to some.
        fold: Fold to hold out, by default the last.
        output: Folder for the run, and for ``last/``, ``ema/`` (classifiers) and ``test.json``.
        validation_fold: Hold out this fold too, and report on it instead; on ``fold`` only at the
            end. A recipe with ``has_validation`` does so with the last of the others.
        limit: Use only this many clips of each part, the classes in turn.
        calibrate: Train once more with one of the training folds held out too, to set the
            temperature of the scores by it; this takes twice the time.
        cache: Folder to keep decoded clips, and features that never change, in for later runs.
        seed: Seed of all random numbers.
        device: Device to train on, such as ``"cpu"`` or ``"cuda"``.
        progress: Show progress bars.
        on_epoch: Called with the metrics of every epoch at its end.
        on_warning: Called, before the training, with each warning about the data.

    Returns:
        The classifiers, the metrics and the evaluation; ``output`` holds them too.

    Raises:
        ConfigError: the recipe, fold, seed or device does not exist, the recipe does not fit the
            data, a clip has several labels, or ``output`` cannot be created or holds another run.
        AudioError: clips cannot be read, or some of ``fold`` are silent or too short to be named;
            the first few are named.
        DatasetError: there are too few clips, or a recording is on both sides of the split.
        WeightsError: a backbone or teacher is not available, a saved state is damaged, or the
            training diverged.
    """
    check_seed(seed)
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    dataset, fold = default_fold(dataset, fold)
    what, hint = f"the recipe {recipe.name!r}", "let `soundsep fit` learn every label by itself"
    check_one_label(dataset, dataset.labels, what=what, hint=hint)
    training, test = dataset.split(fold)
    held_out = test
    if recipe.has_validation or validation_fold:
        training, held_out = hold_out(training, validation_fold)
    if calibrate:  # without the fold that is reported on
        rest, asked = hold_out(training, None)
    folder = make_folder(output)
    warnings: list[str] = []

    def warn(warning: str) -> None:
        warnings.append(warning)
        if on_warning is not None:
            on_warning(warning)

    for warning in (*dataset.notes, *not_learnt(training, (*held_out, *test))):
        warn(warning)
    run = _Run(
        recipe,
        dataset.labels,
        limit=limit,
        cache=None if cache is None else local_path(cache),
        seed=seed,
        device=device,
        progress=progress,
    )
    few = few_of_each(training, limit)
    learnt: frozenset[str] = frozenset()

    def note_loaded(examples: Sequence[Example]) -> None:
        nonlocal learnt
        learnt = file_marks(clip.path for clip in few)  # later a file may be changed or moved
        for warning in note_silent(few, examples):
            warn(warning)

    models = run.train(
        training, held_out, folder, test=test, on_loaded=note_loaded, on_epoch=on_epoch
    )
    if calibrate:
        others = run.train(rest, asked, folder / "calibration")
        for model, other in zip(models, others, strict=True):
            temperature = held_out_temperature(other, run.examples(asked, other.sample_rate))
            model.config = model.config.replace(temperature=temperature)
    for name, model in models._asdict().items():
        model.save_pretrained(folder / name)
        save_learnt(folder / name, learnt)
    evaluation = evaluate(
        Pipeline(models.ema, device=device), few_of_each(test, limit), progress=progress
    )
    evaluation.save(folder / "test.json")
    return TrainingResult(
        recipe=recipe,
        fold=fold,
        last=models.last,
        ema=models.ema,
        rows=tuple(read_json_lines(folder / "metrics.jsonl")),
        evaluation=evaluation,
        warnings=tuple(warnings),
    )


class _Run:
    """Trains by one recipe, on any clips."""

    def __init__(
        self,
        recipe: Recipe,
        labels: tuple[str, ...],
        *,
        limit: int | None,
        cache: Path | None,
        seed: int,
        device: str | torch.device,
        progress: bool,
    ) -> None:
        self.recipe, self.labels, self.limit, self.cache = recipe, labels, limit, cache
        self.seed, self.device, self.progress = seed, device, progress

    def train(
        self,
        training: Sequence[Clip],
        held_out: Sequence[Clip],
        output: Path,
        *,
        test: Sequence[Clip] = (),
        on_loaded: Callable[[Sequence[Example]], None] | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> TrainedClassifier:
        """The models after the last epoch, if they will be able to name every clip of the test."""
        backbone = _published(self.recipe.backbone)
        frontend = (backbone.config if backbone else self.recipe).frontend
        examples, held_out_examples = self._loaded(training, held_out, test, frontend)
        if on_loaded is not None:
            on_loaded(examples)
        teacher = _published(self.recipe.teacher)
        return train(
            self.recipe,
            labels=self.labels,
            training=examples,
            held_out=held_out_examples,
            output=output,
            seed=self.seed,
            device=self.device,
            progress=self.progress,
            on_epoch=on_epoch,
            initial=backbone and probe_classifier(backbone, self.labels, examples),
            teacher=teacher
            and probe_classifier(
                teacher, self.labels, self.examples(training, teacher.sample_rate)
            ),
            cache=self.cache,
        )

    def examples(self, clips: Sequence[Clip], sample_rate: int) -> list[Example]:
        """The clips in memory, or the few that ``limit`` allows."""
        return self._load(few_of_each(clips, self.limit), sample_rate)

    def _load(self, clips: Sequence[Clip], sample_rate: int) -> list[Example]:
        return load_examples(
            clips, sample_rate=sample_rate, cache=self.cache, progress=self.progress
        )

    def _loaded(
        self,
        training: Sequence[Clip],
        held_out: Sequence[Clip],
        test: Sequence[Clip],
        frontend: FrontendConfig,
    ) -> tuple[list[Example], list[Example]]:
        """The clips of the training and those held out, if every clip of the test can be named."""
        parts = [few_of_each(clips, self.limit) for clips in (training, held_out, test)]
        # All at once, so that one error names the broken files of every part.
        loaded = iter(self._load([*chain(*parts)], frontend.sample_rate))
        examples = [[*islice(loaded, len(part))] for part in parts]
        faults = [
            AudioError(
                f"{clip.audio} is held out for the test, but silent or too short to be named; "
                "remove it"
            )
            for clip, (waveform, _) in zip(parts[2], examples[2], strict=True)
            if len(waveform) < frontend.win_length or is_silent(waveform)
        ]
        if faults:
            raise all_unusable(faults, len(parts[2]), "clips")
        return examples[0], examples[1]


def _published(name: str | None) -> Classifier | None:
    return None if name is None else Classifier.from_pretrained(name)
