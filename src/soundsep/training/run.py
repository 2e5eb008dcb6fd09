"""A recipe run on a data set: one fold held out, trained on the others, measured, saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from soundsep.classifier import Classifier
from soundsep.config import check_seed
from soundsep.datasets import Clip, Concatenation, load_examples
from soundsep.datasets.clip import FoldedClips
from soundsep.datasets.subsets import few_of_each, hold_out, not_learnt
from soundsep.evaluation import Evaluation, evaluate
from soundsep.files import read_json_lines
from soundsep.pipeline import Pipeline
from soundsep.training.calibration import held_out_temperature
from soundsep.training.classifier import TrainedClassifier, train
from soundsep.training.examples import Example
from soundsep.training.probe import probe_classifier
from soundsep.training.recipe import Recipe
from soundsep.training.recipes import get_recipe
from soundsep.training.state import make_folder

__all__ = ["TrainingResult", "default_fold", "train_recipe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """What came of a recipe on a data set.

    Attributes:
        recipe: By which it was trained.
        fold: That was held out.
        last: The classifier after the last step.
        ema: The one with averaged weights; what to use.
        rows: The metrics of every epoch, as in ``metrics.jsonl``.
        evaluation: Evaluation of ``ema`` on the held-out fold.
        warnings: What looks like a mistake in the data.
    """

    recipe: Recipe
    fold: int
    last: Classifier
    ema: Classifier
    rows: tuple[dict[str, Any], ...]
    evaluation: Evaluation
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """The recipe and what came of it."""
        title = f"{self.recipe.name!r} without fold {self.fold}, {len(self.rows)} epochs"
        return f"TrainingResult({title}: {self.evaluation!r})"

    @property
    def minutes(self) -> float:
        """Time that all epochs took."""
        return float(sum(row["seconds"] for row in self.rows)) / 60


def default_fold(dataset: FoldedClips, fold: int | None) -> tuple[FoldedClips, int]:
    """The data set with folds, dealt out where it has none, and the one to hold out.

    Args:
        dataset: Any; its recordings are dealt out as `soundsep.datasets.Concatenation` does.
        fold: ``None`` is the last one.
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

    The same call again resumes where a killed one stopped.

    Args:
        recipe: Settings, or the name of a recipe (`soundsep.training.RECIPES`).
        dataset: Labelled clips. Where they have no folds, their recordings are dealt out to some.
        fold: The one held out, by default the last.
        output: Folder for the run, and for ``last/``, ``ema/`` (classifiers) and ``test.json``.
        validation_fold: Hold this one out too, and report on it instead; on ``fold`` at the end
            only. A recipe with ``has_validation`` does so with the last of the others.
        limit: Use so many clips of each part only, the classes in turn.
        calibrate: Train once more with one of the training folds held out too, and set the
            temperature of the scores by it; twice the time.
        cache: Folder to keep decoded clips, and features that never change, in for later runs.
        seed: Seed of all random numbers.
        device: Where to train.
        progress: Show progress bars.
        on_epoch: Called with the metrics of every epoch when it is over.
        on_warning: Called, before the training, with what looks like a mistake in the data.

    Raises:
        ConfigError: there is no such recipe, fold, seed or device, the recipe does not fit the
            data, or ``output`` cannot be made or holds another run.
        AudioError: a clip cannot be read.
        DatasetError: there are too few clips, or a recording is on both sides of the split.
        WeightsError: a backbone or teacher is not available, a saved state is damaged, or the
            training diverged.
    """
    check_seed(seed)
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    dataset, fold = default_fold(dataset, fold)
    training, test = dataset.split(fold)
    held_out = test
    if recipe.has_validation or validation_fold:
        training, held_out = hold_out(training, validation_fold)
    if calibrate:  # the fold that is reported on has no part in it
        rest, asked = hold_out(training, None)
    folder = make_folder(output)
    warnings = (*dataset.notes, *not_learnt(training, (*held_out, *test)))
    if on_warning is not None:
        for warning in warnings:
            on_warning(warning)
    run = _Run(
        recipe,
        dataset.labels,
        limit=limit,
        cache=None if cache is None else Path(cache),
        seed=seed,
        device=device,
        progress=progress,
    )
    models = run.train(training, held_out, folder, on_epoch=on_epoch)
    if calibrate:
        others = run.train(rest, asked, folder / "calibration")
        for model, other in zip(models, others, strict=True):
            temperature = held_out_temperature(other, run.examples(asked, other.sample_rate))
            model.config = model.config.replace(temperature=temperature)
    for name, model in models._asdict().items():
        model.save_pretrained(folder / name)
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
        warnings=warnings,
    )


class _Run:
    """Trains by one recipe, on whatever clips it is given."""

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
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> TrainedClassifier:
        """The models after the last epoch."""
        initial = self._probe(self.recipe.backbone, training)
        rate = (initial.config if initial else self.recipe).frontend.sample_rate
        return train(
            self.recipe,
            labels=self.labels,
            training=self.examples(training, rate),
            held_out=self.examples(held_out, rate),
            output=output,
            seed=self.seed,
            device=self.device,
            progress=self.progress,
            on_epoch=on_epoch,
            initial=initial,
            teacher=self._probe(self.recipe.teacher, training),
            cache=self.cache,
        )

    def examples(self, clips: Sequence[Clip], sample_rate: int) -> list[Example]:
        """The clips in memory, or the few that are asked for."""
        few = few_of_each(clips, self.limit)
        return load_examples(few, sample_rate=sample_rate, cache=self.cache, progress=self.progress)

    def _probe(self, name: str | None, clips: Sequence[Clip]) -> Classifier | None:
        """That network with a head for these clips, and for nothing else."""
        if name is None:
            return None
        trained = Classifier.from_pretrained(name)
        return probe_classifier(trained, self.labels, self.examples(clips, trained.sample_rate))
