"""The rooms of the library: what may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import soundsep

PACKAGE = Path(soundsep.__file__).parent

# Bottom first; a module imports only from rooms above its own in this list.
ROOMS = (
    "errors",
    "_torchaudio",
    "config",
    "files",
    "labels",
    "devices",
    "audio",
    "metrics",
    "frontends",
    "augment",
    "models",
    "checkpoints",
    "classifier",
    "separator",
    "pipeline",
    "integrations",
    "export",
    "datasets",
    "training",
    "evaluation",
    "plots",
    "report",
    "cli",
)
# `soundsep/__init__.py` only passes names on, `__main__.py` only calls the command line.
DOORS = ("__init__", "__main__")
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem not in DOORS)


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(source: str) -> set[str]:
    """Rooms that a source text imports from, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    return {p[1] for p in parts if p[0] == "soundsep" and len(p) > 1} - {"__version__"}


def test_imports_are_seen_wherever_they_stand():
    source = (
        "import os, soundsep.audio\nfrom soundsep import labels\n"
        "def f():\n    from soundsep.datasets.esc50 import ESC50\n"
    )
    assert imported_rooms(source) == {"audio", "labels", "datasets"}


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_module_imports_only_from_the_rooms_above(module):
    room = room_of(module)
    assert room in ROOMS, f"{room} has no place in the list of rooms"
    allowed = {room, *ROOMS[: ROOMS.index(room)]}
    assert imported_rooms(module.read_text(encoding="utf-8")) <= allowed


@pytest.mark.parametrize(
    "module",
    [
        m
        for m in MODULES
        if room_of(m) not in ("datasets", "training", "evaluation", "plots", "report", "cli")
    ],
    ids=lambda m: str(m.relative_to(PACKAGE)),
)
def test_inference_never_imports_data_sets_or_training(module):
    imported = imported_rooms(module.read_text(encoding="utf-8"))
    assert not imported & {"datasets", "training", "evaluation", "cli"}


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_is_lazy():
    loaded = loaded_after("import soundsep; dir(soundsep); soundsep.__version__")
    assert "soundsep" in loaded
    heavy = {"torch", "torchaudio", "demucs", "matplotlib", "numpy", "scipy", "soundfile"}
    assert not loaded & heavy


def test_inference_loads_no_training_code():
    loaded = loaded_after("from soundsep import Classifier, MelFrontend, Pipeline")
    assert "soundsep.pipeline" in loaded
    assert not {m for m in loaded if m.startswith(("soundsep.training", "soundsep.datasets"))}
    assert not loaded & {"demucs", "matplotlib"}


@pytest.mark.parametrize("name", soundsep.__all__)
def test_public_names_resolve(name):
    assert getattr(soundsep, name) is not None
    assert name in dir(soundsep)


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Pipelin'"):
        _ = soundsep.Pipelin
