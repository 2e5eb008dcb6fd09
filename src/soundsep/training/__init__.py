"""Training: recipes as data, and the loop that runs them."""

from soundsep.training.loop import Example, train
from soundsep.training.recipes import RECIPES, Recipe, Stage, get_recipe

__all__ = ["RECIPES", "Example", "Recipe", "Stage", "get_recipe", "train"]
