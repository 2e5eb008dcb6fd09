"""The reference shows the defaults that a class has."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path

import pytest

from soundsep import ClassifierConfig
from soundsep.pipeline import EventSummary
from soundsep.training import SceneRecipe, SeparationRecipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("shown", "default"),
    [
        (ClassifierConfig, "frontend: FrontendConfig = MelConfig(), "),
        (EventSummary, "untimed: Mapping[str, int] = dict(), "),
        (SceneRecipe, "scenes: SoundscapeConfig = ..., "),
        (SeparationRecipe, "mixtures: MixtureConfig = ..., "),
    ],
)
def test_a_default_that_a_factory_makes_is_shown_as_what_it_is(shown, default):
    conf = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    written = str(inspect.signature(shown)).replace("'", "")
    signature, _ = conf["_signature"](None, "class", "name", shown, {}, written, None)
    assert "factory" not in signature
    assert default in signature
