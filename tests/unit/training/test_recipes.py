from __future__ import annotations

import json
import math

import pytest

from soundsep.augment import Mixup
from soundsep.errors import ConfigError
from soundsep.frontends import WaveformConfig
from soundsep.training import RECIPES, Recipe, Stage, get_recipe
from soundsep.training.step import one_cycle

PLAIN = Recipe(
    name="x",
    description="",
    network="resnet18",
    stages=(Stage(epochs=2, crop_seconds=1.0), Stage(epochs=0), Stage(epochs=3)),
)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_found_by_their_name_and_survive_json(name):
    recipe = get_recipe(name)
    assert recipe.name == name
    assert recipe.description
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_unknown_recipe_names_those_that_exist():
    with pytest.raises(ConfigError, match="no recipe 'esc51'; there are esc50-resnet34"):
        get_recipe("esc51")


def test_stages_follow_each_other():
    assert PLAIN.epochs == 5
    assert [PLAIN.stage_at(e) for e in range(5)] == [PLAIN.stages[i] for i in (0, 0, 2, 2, 2)]
    with pytest.raises(ConfigError, match="5 epochs"):
        PLAIN.stage_at(5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", "vgg"),
        ("stages", ()),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("weight_decay", -0.1),
        ("max_speed", 0.5),
        ("learning_rate", math.inf),
        ("weight_decay", math.inf),
        ("max_speed", math.inf),
        ("window_seconds", math.nan),
        ("warmup", 1.1),
        ("label_smoothing", -0.1),
        ("n_variants", 0),
        ("step_epochs", 0),
        ("report_every", 0),
        ("balance", "both"),
        ("schedule", "cosine"),
        ("data", "audioset"),
        ("frozen_share", math.nan),
        ("frontend", WaveformConfig()),
        ("network", "aclnet"),
        ("ema_decay", 1.5),
        ("teacher_share", 1.1),
        ("embedding_weight", -1.0),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(ConfigError):
        PLAIN.replace(**{field: value})


@pytest.mark.parametrize(
    "wrong", [{"epochs": -1}, {"epochs": 1, "n_candidates": 0}, {"epochs": 1, "crop_seconds": 0.0}]
)
def test_wrong_stages_are_refused(wrong):
    with pytest.raises(ConfigError, match="Stage"):
        Stage(**wrong)


def test_mixtures_cannot_be_balanced():
    with pytest.raises(ConfigError, match="two classes"):
        PLAIN.replace(balance="sampler", waveform_steps=(Mixup(),))


def test_clips_as_they_are_cannot_be_played_faster():
    with pytest.raises(ConfigError, match="not rolled"):
        PLAIN.replace(stages=(Stage(epochs=1, is_rolled=False),), max_speed=1.2)


def test_a_rate_that_rises_to_the_end_of_a_run_ends_at_its_peak():
    assert [one_cycle(share, 1.0) for share in (0.0, 0.5, 1.0)] == pytest.approx([0.04, 0.52, 1.0])
    falling = [one_cycle(share, 0.0) for share in (0.0, 0.5, 1.0)]
    assert falling == pytest.approx([1.0, 0.50005, 1e-4])
    assert [one_cycle(share, 0.25) for share in (0.25, 1.0)] == pytest.approx([1.0, 1e-4])
