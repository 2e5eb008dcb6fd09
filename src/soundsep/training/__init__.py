"""Training: recipes as data, the loop that runs them, and quick fits to one's own classes."""

from soundsep.training.fit import fit
from soundsep.training.loop import Example, train
from soundsep.training.probe import as_backbone, linear_probe, probe_classifier, with_head
from soundsep.training.recipe import Recipe, Stage
from soundsep.training.recipes import RECIPES, get_recipe
from soundsep.training.report import FitReport

__all__ = [
    "RECIPES",
    "Example",
    "FitReport",
    "Recipe",
    "Stage",
    "as_backbone",
    "fit",
    "get_recipe",
    "linear_probe",
    "probe_classifier",
    "train",
    "with_head",
]
