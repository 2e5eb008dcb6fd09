from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundsep import Classifier, Pipeline, Separator
from soundsep.config import Config, check_number
from soundsep.errors import ConfigError, SoundsepError


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner(Config):
    size: int
    letter: Literal["a", "b"] = "a"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer(Config):
    name: str
    rate_hz: float = 1.0
    top_db: float | None = None
    on: bool = False
    inner: Inner = Inner(size=1)
    parts: tuple[Inner, ...] = ()


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Outer,
        name=st.text(),
        rate_hz=st.floats(allow_nan=False, allow_infinity=False),
        top_db=st.none() | st.floats(0, 100),
        on=st.booleans(),
        inner=st.builds(Inner, size=st.integers(), letter=st.sampled_from("ab")),
        parts=st.lists(st.builds(Inner, size=st.integers()), max_size=3).map(tuple),
    )
)
def test_json_there_and_back_is_equal(config):
    assert Outer.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "x", "nmae": 1, "zz": 2}, "unknown 'nmae', 'zz'"),
        ({}, "name"),
        ({"name": 3}, "Outer.name: expected str, got 3"),
        ({"name": "x", "on": 1}, "Outer.on: expected bool"),
        ({"name": "x", "rate_hz": "1"}, "Outer.rate_hz: expected float"),
        ({"name": "x", "rate_hz": True}, "Outer.rate_hz: expected float"),
        ({"name": "x", "rate_hz": None}, "Outer.rate_hz: expected float"),
        ({"name": "x", "rate_hz": 10**400}, "Outer.rate_hz: the number is too large"),
        ({"name": "x", "inner": {"size": True}}, "Inner.size: expected int"),
        ({"name": "x", "inner": {"size": 1.0}}, "Inner.size: expected int"),
        ({"name": "x", "inner": {"size": 1, "letter": "c"}}, "Inner.letter must be one of"),
        ({"name": "x", "inner": {"size": 1, "letter": ["a"]}}, "Inner.letter must be one of"),
        ({"name": "x", "inner": [1]}, "Inner: expected a JSON object, got list"),
        ({"name": "x", "parts": {"size": 1}}, "Outer.parts: expected a list"),
        ({"name": "x", "parts": [{"size": 1}, {"sise": 1}]}, "unknown 'sise'"),
    ],
)
def test_wrong_data_names_the_place(data, message):
    with pytest.raises(ConfigError, match=message):
        Outer.from_dict(data)


def test_whole_numbers_serve_as_floats_and_become_floats():
    config = Outer.from_dict({"name": "x", "rate_hz": 2, "top_db": 80})
    assert (config.rate_hz, config.top_db) == (2.0, 80.0)
    assert isinstance(config.rate_hz, float)
    assert isinstance(config.top_db, float)


def test_replace_copies_and_refuses_unknown_names():
    config = Outer(name="x")
    assert config.replace(name="y") == Outer(name="y")
    assert config.name == "x"
    with pytest.raises(ConfigError, match="unknown 'nmae'"):
        config.replace(nmae="y")


def test_configs_are_immutable():
    with pytest.raises(FrozenInstanceError):
        Outer(name="x").name = "y"  # type: ignore[misc]


def test_config_error_is_caught_as_value_error_and_as_ours():
    assert issubclass(ConfigError, ValueError)
    assert issubclass(ConfigError, SoundsepError)


@pytest.mark.parametrize("name", ["esc50-mn04", Path("a/folder")])
@pytest.mark.parametrize("kind", [Pipeline, Classifier, Separator])
def test_a_name_given_to_a_constructor_is_told_of_from_pretrained(kind, name):
    text = re.escape(f"{kind.__name__}.from_pretrained({str(name)!r})")
    with pytest.raises(ConfigError, match=text):
        kind(name)


def test_another_object_given_to_a_constructor_is_named():
    with pytest.raises(ConfigError, match=r"Pipeline takes a ClassifierLike, got 3$"):
        Pipeline(3)


def test_an_integer_that_python_does_not_write_out_is_refused():
    with pytest.raises(ConfigError, match="x must be a number, got a huge int"):
        check_number("x", 10**5000)
