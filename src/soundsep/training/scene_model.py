"""Models that are trained side by side on scenes, and whether they fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from soundsep.classifier import Classifier
from soundsep.digests import digest
from soundsep.errors import ConfigError, DatasetError
from soundsep.training.examples import Example, check_examples
from soundsep.training.scene_recipe import SceneRecipe

__all__ = ["SceneModel", "check_models", "check_tags", "teacher_digest"]


@dataclass(frozen=True, kw_only=True)
class SceneModel:
    """One of several models that are trained side by side.

    Attributes:
        recipe: Settings. Scenes, number of steps and scenes per step are those of the first model.
        initial: Frame-wise classifier that the training starts from; it is not changed.
        held_out: Fold whose scenes it is not trained on; 0 for none.
        clip_embeddings: Embedding of every clip by a teacher, (n_clips, embedding_dim), for recipes
            with an ``embedding_weight``.
    """

    recipe: SceneRecipe
    initial: Classifier
    held_out: int = 0
    clip_embeddings: Tensor | None = None


def check_models(
    models: Mapping[str, SceneModel], training: Sequence[Example], folds: Sequence[int]
) -> None:
    """Check the models, the clips that they are trained on, and what they must not hear.

    Args:
        models: Models by name.
        training: Clips of all folds.
        folds: Fold of each clip; 0 for clips that all models may be trained on.

    Raises:
        ConfigError: there is no model, one does not fit its recipe, the scenes or the first model,
            or there are not as many folds as clips.
        DatasetError: a model has no clips to learn, or a target is not that of a label.
        ShapeError: a waveform is not (time,) in float32, or holds no samples.
    """
    _check_folds({name: model.held_out for name, model in models.items()}, folds, len(training))
    recipe, initial = next((m.recipe, m.initial) for m in models.values())
    check_examples(training, n_labels=len(initial.labels))
    for name, model in models.items():
        _check_alike(name, model, recipe, initial)
        _check_recipe(model, len(training))


def check_tags(tags: Tensor | None, sounds: Sequence[object], *, of: str) -> None:
    """Check that every sound has its tags.

    Args:
        tags: Tags of the sounds, (n_sounds, n_tags).
        sounds: Clips or strangers, in the order of the tags.
        of: Name of the sounds in the message.

    Raises:
        ConfigError: there are not as many as sounds.
    """
    if (n := 0 if tags is None else len(tags)) != len(sounds):
        raise ConfigError(f"expected {of}_tags of {len(sounds)} sounds, got {n}")


def teacher_digest(models: Mapping[str, SceneModel], *tags: Tensor) -> str:
    """A hash of what the teachers answered, 64 hex digits; a run resumes only with the same.

    Teachers answer with other last digits on another machine. So the hash is of the strongest
    answer to each sound and of the sum of all, rounded.

    Args:
        models: Models by name; their embeddings count where they are learnt.
        tags: Tags of the clips and of the strangers, (n_sounds, n_tags) each.
    """
    learnt = [m.clip_embeddings for m in models.values() if m.recipe.embedding_weight]
    parts: list[str] = []
    for answers in (*tags, *learnt):
        if answers is not None and len(answers):
            strongest = answers.argmax(dim=1).tolist()
            parts.append(f"{strongest} of {answers.shape[1]}, {float(answers.double().sum()):.3g} ")
    return digest(*parts)


def _check_folds(held_out: Mapping[str, int], folds: Sequence[int], n_clips: int) -> None:
    """Check that every model has scenes to learn, and that the fold it must not hear exists."""
    if not held_out:
        raise ConfigError("there is no model to train")
    if len(folds) != n_clips:
        raise ConfigError(f"expected the fold of each of {n_clips} clips, got {len(folds)}")
    known = {*folds} - {0}
    for name, fold in held_out.items():
        if fold and fold not in known:
            raise ConfigError(
                f"model {name!r} holds out fold {fold}, but the clips are of {sorted(known)}"
            )
        if not known - {fold}:
            raise DatasetError(
                f"there are no clips to make scenes of for model {name!r}: folds {sorted(known)}, "
                f"without fold {fold}"
            )


def _check_alike(name: str, model: SceneModel, recipe: SceneRecipe, first: Classifier) -> None:
    """Check that a model can hear the scenes and the features that all models share."""
    config, rate = model.initial.config, recipe.scenes.sample_rate
    if model.initial.sample_rate != rate:
        raise ConfigError(
            f"the scenes have {rate} Hz, and the initial model {name!r} expects "
            f"{model.initial.sample_rate} Hz"
        )
    if (config.frontend, config.labels) != (first.config.frontend, first.config.labels):
        raise ConfigError(
            f"models side by side need one frontend and the same labels; those of {name!r} differ "
            "from those of the first"
        )


def _check_recipe(model: SceneModel, n_clips: int) -> None:
    recipe, network = model.recipe, model.initial.config.network
    if network != recipe.network:
        raise ConfigError(f"the recipe is for {recipe.network}, the initial model is {network}")
    if not recipe.embedding_weight:
        return
    if model.clip_embeddings is None:
        raise ConfigError("a recipe with an embedding_weight needs clip_embeddings")
    found, wanted = (*model.clip_embeddings.shape,), (n_clips, model.initial.network.embedding_dim)
    if found != wanted:
        raise ConfigError(f"clip_embeddings must be {wanted}, of the network's kind; got {found}")
