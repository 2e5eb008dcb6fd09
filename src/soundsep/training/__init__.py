"""Training: recipes as data, the loop that runs them, and quick fits to your own classes."""

from soundsep.training.calibration import fit_temperature, held_out_temperature
from soundsep.training.classifier import TrainedClassifier, train
from soundsep.training.examples import Example
from soundsep.training.fit import fit
from soundsep.training.learnt import learnt_clips
from soundsep.training.probe import as_backbone, linear_probe, probe_classifier, with_head
from soundsep.training.recipe import Recipe, Stage
from soundsep.training.recipes import RECIPES, get_recipe
from soundsep.training.report import FitReport
from soundsep.training.run import TrainingResult, train_recipe
from soundsep.training.scene_model import SceneModel
from soundsep.training.scene_recipe import SceneRecipe
from soundsep.training.scenes import load_tags_head, train_scenes, train_scenes_together
from soundsep.training.separator import (
    SeparationRecipe,
    TrainedSeparator,
    separation_loss,
    separator_config,
    train_separator,
)

__all__ = [
    "RECIPES",
    "Example",
    "FitReport",
    "Recipe",
    "SceneModel",
    "SceneRecipe",
    "SeparationRecipe",
    "Stage",
    "TrainedClassifier",
    "TrainedSeparator",
    "TrainingResult",
    "as_backbone",
    "fit",
    "fit_temperature",
    "get_recipe",
    "held_out_temperature",
    "learnt_clips",
    "linear_probe",
    "load_tags_head",
    "probe_classifier",
    "separation_loss",
    "separator_config",
    "train",
    "train_recipe",
    "train_scenes",
    "train_scenes_together",
    "train_separator",
    "with_head",
]
