"""The reference shows the defaults that a class has, and types by names that readers know."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path

import pytest

from soundsep import ClassifierConfig, to_dataframe
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


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("numpy.ndarray[tuple[typing.Any, ...], numpy.dtype[numpy.int64]]", "NDArray[int64]"),
        ("TypeAliasForwardRef('AudioInput') | None", "AudioInput | None"),
        ("Scaling", "Literal['none', 'standardize', 'image']"),
        ("Scaling | MelScaling", "Literal['none', 'standardize', 'image'] | MelScaling"),
    ],
)
def test_types_are_shown_as_a_reader_knows_them(found, shown):
    assert runpy.run_path(str(ROOT / "docs" / "conf.py"))["_written"](found) == shown


def test_an_alias_that_no_page_explains_is_shown_as_what_it_stands_for():
    conf = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    written = str(inspect.signature(to_dataframe)).replace("'", "").partition(" ->")[0]
    signature, _ = conf["_signature"](None, "function", "name", to_dataframe, {}, written, None)
    assert signature.startswith("(answers: ClipResult | Scores | Events | Iterable[ClipResult] | ")
