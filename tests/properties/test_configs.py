"""Every number in every config: what is no finite number is refused as the config's error."""

from __future__ import annotations

import importlib
import math
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

import pytest

import soundsep
from soundsep.config import Config
from soundsep.errors import ConfigError
from soundsep.training import Stage

NO_NUMBERS: tuple[Any, ...] = ("3", math.nan, math.inf, -math.inf, True, [1.0], 1j)
NO_SPANS: tuple[Any, ...] = (3.0, "ab", (1.0,), (0.0, math.inf), (math.nan, 1.0), ("a", "b"))
REQUIRED: dict[str, dict[str, Any]] = {
    "ClassifierConfig": {"labels": ("dog", "rain"), "network": "cnn4"},
    "PublishedFile": {"name": "a", "sha256": "0" * 64, "size": 1},
    "PublishedModel": {"name": "a", "description": "b", "licence": "c", "files": ()},
    "RandomCrop": {"length": 4},
    "Recipe": {
        "name": "a",
        "description": "b",
        "network": "cnn4",
        "stages": (Stage(epochs=1),),
    },
    "SeparatorConfig": {
        "sources": ("a",),
        "sample_rate": 16_000,
        "n_channels": 1,
        "segment_seconds": 1.0,
    },
    "Stage": {"epochs": 1},
    "Upstream": {"network": "mn04", "reported": "b"},
}


def configs() -> Iterator[type[Config]]:
    for room in pkgutil.walk_packages(soundsep.__path__, "soundsep."):
        if ".cli" not in room.name and not room.name.endswith("__main__"):
            importlib.import_module(room.name)
    found = [Config]
    for kind in found:
        found += (sub for sub in kind.__subclasses__() if sub not in found)
    for kind in found:  # ``slots`` makes a second class, and the first stays a subclass
        is_ours = kind.__module__.startswith("soundsep.")
        if is_ours and getattr(sys.modules[kind.__module__], kind.__name__, None) is kind:
            yield kind


def numbers() -> Iterator[Any]:
    for kind in configs():
        hints = get_type_hints(kind)
        required = {f.name for f in fields(kind) if f.default is f.default_factory is MISSING}
        if not required <= REQUIRED.get(kind.__name__, {}).keys():
            assert kind is Config or not required, f"how is a {kind.__name__} made?"
        for field in fields(kind):
            options = {hints[field.name], *get_args(hints[field.name])}
            is_span = hints[field.name] == tuple[float, float] or field.name.endswith("_db")
            if is_span and any(str(o).startswith("tuple") for o in options):
                yield pytest.param(kind, field.name, NO_SPANS, id=f"{kind.__name__}.{field.name}")
            elif options & {int, float}:
                bad = NO_NUMBERS + ((1.5,) if int in options else (10**400,))
                if any(str(o).startswith("tuple") for o in options):  # of one per label
                    bad = tuple(value for value in bad if value != [1.0])
                yield pytest.param(kind, field.name, bad, id=f"{kind.__name__}.{field.name}")


@pytest.mark.parametrize(("kind", "field", "bad"), list(numbers()))
def test_what_is_no_number_is_refused(kind: type[Config], field: str, bad: tuple[Any, ...]) -> None:
    config = kind(**REQUIRED.get(kind.__name__, {}))
    for value in bad:
        with pytest.raises(ConfigError, match=field):
            config.replace(**{field: value})
