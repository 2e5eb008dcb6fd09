"""Train a classifier by a recipe."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from soundsep.audio.level import raised
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.classifier.audible import clip_gain
from soundsep.config import check_seed
from soundsep.devices import forked_rng, to_device
from soundsep.digests import digest
from soundsep.errors import ConfigError, DatasetError
from soundsep.models import is_head
from soundsep.training.classifier_task import ClassifierTask
from soundsep.training.examples import Example, check_examples, examples_digest
from soundsep.training.loop import RunState, run_task
from soundsep.training.recipe import Recipe
from soundsep.training.state import make_folder
from soundsep.training.step import first_layers, make_optimizer
from soundsep.training.teacher import Teacher

__all__ = ["TrainedClassifier", "train"]


class TrainedClassifier(NamedTuple):
    """Two classifiers of one run.

    Attributes:
        last: Weights after the last step.
        ema: Exponentially averaged weights.
    """

    last: Classifier
    ema: Classifier


def train(
    recipe: Recipe,
    *,
    labels: Sequence[str],
    training: Sequence[Example],
    held_out: Sequence[Example],
    output: str | Path,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    initial: Classifier | None = None,
    teacher: Classifier | None = None,
    cache: Path | None = None,
) -> TrainedClassifier:
    """Train a network, or resume an interrupted run with the same settings.

    All random numbers of an epoch follow from the seed and the epoch's number, so a resumed run
    ends with the same weights as an uninterrupted one (same machine, same number of threads).
    Nothing is chosen by the held-out accuracy: it is only recorded.

    Args:
        recipe: Settings.
        labels: Names of the classes, in the order of the targets.
        training: Clips to train on.
        held_out: Clips to report on, never trained on; may be empty.
        output: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        seed: Seed of the initial weights, the order of the clips and every augmentation.
        device: Device to train on, such as ``"cpu"`` or ``"cuda"``.
        progress: Show progress bars.
        on_epoch: Called with the metrics of every epoch at its end.
        initial: Classifier of the same labels whose weights the training starts from; it is not
            changed. Its frontend, network and windows replace the recipe's; its temperature and
            ``unknown_below`` are not used. Training clips are raised to its ``clip_level_db``, if
            it has one, as clips will be for the result.
        teacher: Classifier of the same labels whose scores are learnt as well.
        cache: Folder to keep features in for later runs, if no waveform is augmented.

    Returns:
        The model after the last step, and the one with exponentially averaged weights.

    Raises:
        ConfigError: ``output`` cannot be created, or holds a run with other settings or other
            clips, the device does not exist, ``seed`` is not a seed, ``initial`` or ``teacher``
            does not fit, or the recipe has a teacher and none is given.
        DatasetError: there are fewer than two training clips, or a target is not that of a label.
        ShapeError: a waveform is not (time,) in float32, or holds no samples.
        WeightsError: the state in ``output`` is damaged, or the training diverged.
    """
    if len(training) < 2:
        raise DatasetError(f"training needs at least 2 clips, got {len(training)}")
    check_seed(seed)
    check_examples([*training, *held_out], n_labels=len(labels))
    _check_helpers(recipe, labels, initial, teacher)
    if initial is not None:  # the recorded recipe must be true
        recipe = recipe.replace(
            network=initial.config.network,
            frontend=initial.config.frontend,
            window_seconds=initial.config.window_seconds,
        )
        # Soft clips are raised, as the trained model will raise them.
        training = [(raised(clip, clip_gain(initial, clip)), target) for clip, target in training]
    folder = make_folder(output)
    settings = {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "labels": list(labels),
        # Otherwise a run could continue with another fold, and train on what it is tested on.
        "training_sha256": examples_digest(training),
        # A head fitted to these clips is left out: another number of threads would fit it with
        # other last digits.
        "initial_sha256": _weights_digest(initial, without_head=recipe.backbone is not None),
        "teacher_sha256": _weights_digest(teacher, without_head=True),
    }
    config = ClassifierConfig(
        labels=tuple(labels),
        network=recipe.network,
        frontend=recipe.frontend,
        window_seconds=recipe.window_seconds,
        hop_seconds=recipe.window_seconds / 2,
    )
    if initial is not None:
        config = initial.config.replace(temperature=1.0, unknown_below=None, thresholds=None)
    with forked_rng(seed):  # initialisation draws from the global generator
        model = to_device(Classifier(config), device)
        if initial is not None:
            model.load_state_dict(initial.state_dict())
        guide = None
        learner = nn.ModuleList([model])  # plus a layer that is not part of the result
        if teacher is not None:
            guide = Teacher(
                to_device(copy.deepcopy(teacher), device),
                [waveform for waveform, _ in training],
                sample_rate=model.sample_rate,
            )
            learner.append(nn.Linear(model.network.embedding_dim, guide.embedding_dim).to(device))
    ema = copy.deepcopy(model).requires_grad_(requires_grad=False).eval()
    for layer in first_layers(model, recipe.frozen_share):
        layer.requires_grad_(requires_grad=False)
    state = RunState(
        learner=learner, model=model, ema=ema, optimizer=make_optimizer(learner, recipe)
    )
    task = ClassifierTask(
        recipe=recipe,
        state=state,
        training=training,
        held_out=held_out,
        seed=seed,
        teacher=guide,
        initial=initial,
        cache=cache,
        progress=progress,
    )
    run_task(task, state, folder=folder, settings=settings, progress=progress, on_row=on_epoch)
    return TrainedClassifier(
        model.requires_grad_(requires_grad=True).eval(),
        ema.requires_grad_(requires_grad=True),
    )


def _weights_digest(model: Classifier | None, *, without_head: bool) -> str | None:
    if model is None:
        return None
    parts: list[str | Tensor] = [json.dumps(model.config.to_dict())]
    for name, value in model.state_dict().items():
        if not (without_head and is_head(name)):
            parts += (name, value)
    return digest(*parts)


def _check_helpers(
    recipe: Recipe, labels: Sequence[str], initial: Classifier | None, teacher: Classifier | None
) -> None:
    for name, helper in (("initial classifier", initial), ("teacher", teacher)):
        if helper is not None and helper.labels != tuple(labels):
            raise ConfigError(f"the {name} knows other labels, or in another order")
    if recipe.backbone is not None and initial is None:
        raise ConfigError(f"recipe {recipe.name!r} starts from {recipe.backbone!r}; none is given")
    if (recipe.teacher is None) != (teacher is None):
        raise ConfigError(
            f"recipe {recipe.name!r} needs the teacher {recipe.teacher!r}; none is given"
            if teacher is None
            else f"recipe {recipe.name!r} has no teacher, but one is given"
        )
