"""Annotations resolve at run time, as for tools that make forms, checks or commands of them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any, get_type_hints

import pytest

import soundsep
from soundsep.evaluation import Evaluation
from soundsep.training import FitReport

pd = pytest.importorskip("pandas")
Axes = pytest.importorskip("matplotlib.axes").Axes
Figure = pytest.importorskip("matplotlib.figure").Figure
# What the modules import only where it is used: the extras, and results for one picture.
LATER = {
    "pd": pd,
    "Axes": Axes,
    "Figure": Figure,
    "Evaluation": Evaluation,
    "FitReport": FitReport,
}
PACKAGES = [
    "soundsep",
    *(f"soundsep.{m.name}" for m in pkgutil.iter_modules(soundsep.__path__) if m.ispkg),
]


def public() -> dict[str, Any]:
    """Functions, classes and their methods, under the names by which a user knows them."""
    found: dict[str, Any] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            one = getattr(module, name)
            if not getattr(one, "__module__", "").startswith("soundsep."):
                continue  # an alias, a constant
            found[f"{package}.{name}"] = one
            for method in dir(one) if inspect.isclass(one) else ():
                value = inspect.getattr_static(one, method)
                plain = getattr(value, "__func__", getattr(value, "fget", value))
                if not inspect.isfunction(plain) or method.startswith("_"):
                    continue
                if plain.__module__.startswith("soundsep."):
                    found[f"{package}.{name}.{method}"] = plain
    return found


PUBLIC = public()


def test_the_names_are_found():
    some = ("fit", "Pipeline.events", "Scores.edges_seconds", "evaluation.measure_events")
    assert {f"soundsep.{name}" for name in some} <= {*PUBLIC}


@pytest.mark.parametrize("name", PUBLIC)
def test_hints_resolve(name):
    get_type_hints(PUBLIC[name], localns=LATER)
