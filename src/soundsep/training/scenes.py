"""Train frame-wise networks on synthetic scenes: several sounds at once, with their times."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from soundsep.classifier import Classifier
from soundsep.config import check_seed
from soundsep.datasets.sounds import FRAME_SECONDS
from soundsep.datasets.soundscapes import Soundscapes
from soundsep.devices import to_device
from soundsep.errors import WeightsError
from soundsep.training.classifier import TrainedClassifier
from soundsep.training.examples import Example, examples_digest
from soundsep.training.loop import RunState, run_task
from soundsep.training.optimizers import new_optimizer
from soundsep.training.scene_batches import SceneBatches
from soundsep.training.scene_model import SceneModel, check_models, check_tags, teacher_digest
from soundsep.training.scene_recipe import SceneRecipe
from soundsep.training.scene_task import SceneLearner, SceneLoss, SceneTask
from soundsep.training.state import make_folder

__all__ = [
    "load_tags_head",
    "train_scenes",
    "train_scenes_together",
]


def train_scenes(
    recipe: SceneRecipe,
    initial: Classifier,
    tags_head: nn.Module,
    training: Sequence[Example],
    *,
    clip_tags: Tensor,
    output: str | Path,
    clip_embeddings: Tensor | None = None,
    backgrounds: Sequence[Tensor] = (),
    strangers: Sequence[Tensor] = (),
    stranger_tags: Tensor | None = None,
    seed: int = 0,
    n_loaders: int | None = None,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> TrainedClassifier:
    """Train a network on scenes, or resume an interrupted run with the same settings.

    Args:
        recipe: Settings.
        initial: Frame-wise classifier that the training starts from; it is not changed.
        tags_head: Head from the network's mean map (batch, n_channels) to a teacher's tags.
        training: Clips of the training folds, at the classifier's rate.
        clip_tags: Tags of every clip by the teacher, (n_clips, n_tags), from 0 to 1.
        output: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        clip_embeddings: Embeddings by a teacher, as in `SceneModel`.
        backgrounds: Recordings of places, (time,) each, at the classifier's rate.
        strangers: Sounds of none of the classes, (time,) each, at the classifier's rate.
        stranger_tags: Tags of the strangers by the teacher, (n_strangers, n_tags).
        seed: Seed of all scenes, and of what is masked in them.
        n_loaders: Processes that make scenes; by default one, which is enough for one core.
        device: Device to train on, such as ``"cpu"`` or ``"cuda"``.
        progress: Show a progress bar.

    Returns:
        The classifier after the last step, and the one with averaged weights.

    Raises:
        ConfigError: ``output`` cannot be created, or holds a run with other settings, clips or
            answers of a teacher, the recipe needs embeddings that are not given, the scenes have
            another rate than the classifier, the device does not exist, or ``seed`` is not a seed.
        DatasetError: no scenes can be made of the clips, or a target is not that of a label.
        ShapeError: a waveform is not (time,) in float32, or holds no samples.
        WeightsError: the state in ``output`` is damaged, or the training diverged.
    """
    model = SceneModel(recipe=recipe, initial=initial, clip_embeddings=clip_embeddings)
    return train_scenes_together(
        {"": model},
        tags_head,
        training,
        [1] * len(training),
        clip_tags=clip_tags,
        output=output,
        backgrounds=backgrounds,
        strangers=strangers,
        stranger_tags=stranger_tags,
        seed=seed,
        n_loaders=n_loaders,
        device=device,
        progress=progress,
    )[""]


def train_scenes_together(
    models: Mapping[str, SceneModel],
    tags_head: nn.Module,
    training: Sequence[Example],
    folds: Sequence[int],
    *,
    clip_tags: Tensor,
    output: str | Path,
    backgrounds: Sequence[Tensor] = (),
    strangers: Sequence[Tensor] = (),
    stranger_tags: Tensor | None = None,
    seed: int = 0,
    n_loaders: int | None = None,
    seconds: float | None = None,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> dict[str, TrainedClassifier]:
    """Train several models on the same scenes; an accelerator learns faster than scenes are made.

    A scene holds clips of one fold, and clips of no fold; a model is trained on those of all folds
    but its own. Every step uses ``batch_size`` scenes of each fold.

    Args:
        models: Models by name.
        tags_head: Head from the networks' mean map (batch, n_channels) to a teacher's tags.
        training: Clips of all folds, at the classifiers' rate.
        folds: Fold of each clip; 0 for clips that all models may be trained on.
        clip_tags: Tags of every clip by the teacher, (n_clips, n_tags), from 0 to 1.
        output: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        backgrounds: Recordings of places, (time,) each, at the classifiers' rate.
        strangers: Sounds of none of the classes, (time,) each, at the classifiers' rate.
        stranger_tags: Tags of the strangers by the teacher, (n_strangers, n_tags).
        seed: Seed of all scenes, and of what is masked in them.
        n_loaders: Processes that make scenes; by default one.
        seconds: Time limit of the run, by which the learning rate falls if the steps take longer;
            the run ends with the step in which it is reached. An interrupted run goes on with what
            was left of it when its state was saved.
        device: Device to train on, such as ``"cpu"`` or ``"cuda"``.
        progress: Show a progress bar.

    Returns:
        The result of `train_scenes` for each model, by name.

    Raises:
        ConfigError: as for `train_scenes`; or there is no model, a model's fold has no clips, or
            there are not as many ``folds`` or tags as sounds, or the models have not the same
            labels and frontend.
        DatasetError: as for `train_scenes`; or a model has no clips to learn.
        ShapeError: as for `train_scenes`.
        WeightsError: the state in ``output`` is damaged, or the training diverged.
    """
    check_seed(seed)
    check_models(models, training, folds)
    check_tags(clip_tags, training, of="clip")
    check_tags(stranger_tags, strangers, of="stranger")
    if stranger_tags is None:
        stranger_tags = clip_tags[:0]
    recipe, initial = next((m.recipe, m.initial) for m in models.values())
    folder = make_folder(output)
    settings = {
        "recipe": recipe.to_dict()
        if len(models) == 1
        else {name: model.recipe.to_dict() for name, model in models.items()},
        # Without them a run could go on with another fold, and learn what it is judged on.
        "held_out": {name: model.held_out for name, model in models.items()},
        "folds": [*folds],
        "seed": seed,
        "training_sha256": examples_digest(training),
        "others_sha256": examples_digest([(w, 0) for w in [*backgrounds, *strangers]]),
        "teacher_sha256": teacher_digest(models, clip_tags, stranger_tags),
    }
    learners = [SceneLearner(model.initial, tags_head) for model in models.values()]
    for learner in learners:
        to_device(learner.classifier, device)
        learner.tags_head.to(device)
    whole = (
        learners[0] if len(models) == 1 else nn.ModuleDict(dict(zip(models, learners, strict=True)))
    )
    whole.eval()  # batch norms keep their statistics
    ema = copy.deepcopy(whole).requires_grad_(requires_grad=False)
    for learner, model in zip(learners, models.values(), strict=True):
        learner.freeze(model.recipe.n_frozen)
    batches = _batches(
        recipe,
        initial,
        training,
        folds,
        backgrounds=backgrounds,
        strangers=strangers,
        clip_tags=clip_tags,
        stranger_tags=stranger_tags,
        seed=seed,
    )
    groups = [
        group
        for learner, model in zip(learners, models.values(), strict=True)
        for group in learner.parameter_groups(model.recipe)
    ]
    optimizer = new_optimizer(torch.optim.AdamW, groups, lr=recipe.learning_rate, fused=True)
    state = RunState(learner=whole, model=whole, ema=ema, optimizer=optimizer)
    losses = {
        name: SceneLoss(
            learner, model.recipe, model.held_out, model.clip_embeddings, folds, seed=seed
        )
        for (name, model), learner in zip(models.items(), learners, strict=True)
    }
    task = SceneTask(recipe, losses, batches, n_loaders=n_loaders, seconds=seconds)
    run_task(task, state, folder=folder, settings=settings, progress=progress)
    averaged = [ema] if len(models) == 1 else [*cast(nn.ModuleDict, ema).values()]
    return {
        name: TrainedClassifier(
            learner.classifier.requires_grad_().eval(),
            cast(SceneLearner, average).classifier.eval(),
        )
        for name, learner, average in zip(models, learners, averaged, strict=True)
    }


def _batches(
    recipe: SceneRecipe,
    initial: Classifier,
    training: Sequence[Example],
    folds: Sequence[int],
    *,
    backgrounds: Sequence[Tensor],
    strangers: Sequence[Tensor],
    clip_tags: Tensor,
    stranger_tags: Tensor,
    seed: int,
) -> SceneBatches:
    """Scenes of the clips of each fold and of those of no fold, with targets for the frames."""
    frame = initial.frame_length
    assert frame is not None, "the networks of a recipe have frames"
    numbers = {
        fold: [i for i, f in enumerate(folds) if f in (0, fold)] for fold in sorted({*folds} - {0})
    }
    return SceneBatches(
        {
            fold: Soundscapes(
                [training[i] for i in clips],
                n_scenes=recipe.n_steps * recipe.batch_size,
                seed=seed + place,
                config=recipe.scenes,
                backgrounds=backgrounds,
                strangers=strangers,
            )
            for place, (fold, clips) in enumerate(numbers.items())
        },
        numbers,
        batch_size=recipe.batch_size,
        n_classes=len(initial.labels),
        n_frames=-(-recipe.scenes.n_samples // frame),
        frame=round(frame / initial.sample_rate / FRAME_SECONDS),
        clip_tags=clip_tags,
        stranger_tags=stranger_tags,
    )


def load_tags_head(path: str | Path, tags_head: nn.Module) -> None:
    """Load the averaged weights of a head from a run on scenes.

    Args:
        path: ``state.safetensors`` of the run.
        tags_head: Head of the same layers as that of `train_scenes`; it is changed.

    Raises:
        WeightsError: the file cannot be read, or holds no such head.
    """
    prefix = "ema.tags_head."
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  # no dict
            tags_head.load_state_dict({n.removeprefix(prefix): file.get_tensor(n) for n in names})
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(f"cannot take the head of tags from {path}: {error}") from error
