"""The rooms of the library: what may import what."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import soundsep

PACKAGE = Path(soundsep.__file__).parent
ROOMS_FILE = Path(__file__).resolve().parents[2] / "docs" / "rooms.txt"

# Bottom first; a module imports only from rooms above its own in this list.
ROOMS = tuple(
    line.split()[0]
    for line in ROOMS_FILE.read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
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
    return {p[1] for p in parts if p[0] == "soundsep" and len(p) > 1}


def name_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, known: Collection[str]) -> set[str]:
    """Those of the modules ``known`` that a source text imports from.

    ``from package import name`` is an import of ``package.name`` where that is a module.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            deep = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= deep & set(known)
            if deep - set(known):
                names.add(node.module)
    return names & set(known)


def modules_in_strings(source: str) -> list[str]:
    """Strings that name a module of ours, as what loads modules by name would take."""
    texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return [t for t in texts if isinstance(t, str) and re.fullmatch(r"soundsep(\.\w*)+", t)]


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


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_no_module_of_ours_is_imported_by_a_string(module):
    assert modules_in_strings(module.read_text(encoding="utf-8")) == []


def test_strings_that_name_modules_are_seen():
    source = (
        '"""See soundsep.training."""\n'
        "import_module('soundsep.training.fit')\nload(f'soundsep.{x}')\nload('torch.utils')\n"
    )
    assert modules_in_strings(source) == ["soundsep.training.fit", "soundsep."]


def circle(graph: Mapping[str, Collection[str]]) -> list[str] | None:
    """The nodes of a circle, the first again at its end; ``None`` where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        nodes: list[str] = error.args[1]
        return nodes
    return None


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    found = circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert found is not None
    assert set(found) == {"a", "b", "c"}


def test_modules_import_each_other_in_no_circle():
    names = {name_of(module): module for module in MODULES}
    texts = {name: module.read_text(encoding="utf-8") for name, module in names.items()}
    graph = {name: imported_modules(text, names) - {name} for name, text in texts.items()}
    assert graph["soundsep.pipeline.pipeline"] >= {"soundsep.audio", "soundsep.classifier"}
    assert circle(graph) is None


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


STEPS = {  # one after the other in one process, for torch alone takes two seconds
    "soundsep": "import soundsep; dir(soundsep); soundsep.__version__",
    "inference": "from soundsep import Classifier, MelFrontend, Pipeline",
    "features": "MelFrontend(); soundsep.frontends.KaldiMelFrontend()",
    "separator": "soundsep.Separator",
    "plots": "import numpy, soundsep.plots",
    "picture": "soundsep.plots.plot_stft(numpy.zeros(9), sample_rate=8000)",
    "ray": "from soundsep.integrations.ray import Tagger",
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The modules that are loaded after each step."""
    code = "import sys\n" + "".join(f"{step}\nprint(*sys.modules)\n" for step in STEPS.values())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [set(line.split()) for line in done.stdout.splitlines()]
    return dict(zip(STEPS, lines, strict=True))


def test_import_is_lazy(loaded):
    assert "soundsep" in loaded["soundsep"]
    heavy = {"torch", "torchaudio", "demucs", "matplotlib", "numpy", "scipy", "soundfile"}
    assert not loaded["soundsep"] & heavy


def test_inference_loads_no_training_code(loaded):
    names = loaded["inference"]
    assert "soundsep.pipeline" in names
    assert not {m for m in names if m.startswith(("soundsep.training", "soundsep.datasets"))}
    assert not names & {"demucs", "matplotlib"}


def test_features_do_not_wait_for_torchaudio(loaded):
    assert "soundsep.frontends.kaldi" in loaded["features"]
    assert "torchaudio" not in loaded["features"]


def test_the_packages_of_extras_are_imported_only_where_they_are_needed(loaded):
    assert "demucs" not in loaded["separator"]
    assert "matplotlib" not in loaded["plots"]
    assert "matplotlib" in loaded["picture"]
    assert "matplotlib.pyplot" not in loaded["picture"]
    assert not loaded["ray"] & {"ray", "pyarrow"}


@pytest.mark.parametrize("name", soundsep.__all__)
def test_public_names_resolve(name):
    assert getattr(soundsep, name) is not None
    assert name in dir(soundsep)


def test_one_place_decides_about_progress_bars():
    users = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if re.search(r"from tqdm(\.auto|\.std)? import|import tqdm", module.read_text("utf-8"))
    }
    assert users == {"progress.py"}


def test_one_place_keeps_the_global_generator_as_it_was():
    users = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if re.search(
            r"\bfork_rng|manual_seed\(",
            re.sub(r"Generator\([\w.]*\)\.manual_seed\(", "", module.read_text("utf-8")),
        )
    }
    assert users == {"devices.py"}


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Pipelin'"):
        _ = soundsep.Pipelin


REFERENCE = sorted((ROOMS_FILE.parent / "api").glob("*.md"))


@pytest.mark.parametrize("page", REFERENCE, ids=lambda p: p.name)
def test_names_of_the_reference_stand_on_the_face_of_their_room(page):
    """All but what needs an extra, which the face does not import."""
    text = page.read_text(encoding="utf-8")
    documented = re.findall(r"(?:auto(?:class|function)|py:data):: soundsep\.(\S+)", text)
    for name in set(documented) - {"integrations.ray.Tagger"}:
        *room, leaf = name.split(".")
        face = importlib.import_module(".".join(["soundsep", *room]))
        assert len(room) <= 1, f"soundsep.{name} is deep in its room"
        assert leaf in face.__all__


def documented_names() -> set[str]:
    """The last parts of the names in the reference, with all names of modules shown as a whole."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE)
    names = re.findall(r"(?:auto(?:class|function|exception)|py:data):: (\S+)", text)
    for module in re.findall(r"automodule:: (\S+)", text):
        names += [f"{module}.{name}" for name in importlib.import_module(module).__all__]
    return {name.rpartition(".")[2] for name in names}


def test_what_the_pages_import_is_in_the_reference():
    pages = [ROOMS_FILE.parents[1] / "README.md", *ROOMS_FILE.parent.glob("*.md")]
    imported = set()
    for page in pages:
        code = re.findall(
            r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        for node in (node for block in code for node in ast.walk(ast.parse(block))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("soundsep"):
                imported |= {(str(node.module), alias.name) for alias in node.names}
    names = {name for _, name in imported if name not in ROOMS}
    assert names > {"Pipeline", "export_onnx", "event_metrics"}
    assert names - documented_names() == set()


def test_the_architecture_page_names_what_there_is():
    page = (ROOMS_FILE.parent / "architecture.md").read_text(encoding="utf-8")
    steps = re.findall(r"^ *([a-z0-9_/]+\.py) +([\w.]+)", page, re.MULTILINE)
    assert len(steps) > 20
    for module, name in steps:
        defined = {
            node.name
            for node in ast.walk(ast.parse((PACKAGE / module).read_text(encoding="utf-8")))
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        }
        assert set(name.split(".")) <= defined, f"{name} is not in {module}"
    for module in re.findall(r"`([a-z0-9_/]+\.py)`", page):
        assert (PACKAGE / module).is_file() or (ROOMS_FILE.parents[1] / module).is_file(), module


TESTS = sorted(Path(__file__).parent.rglob("test_*.py"))


@pytest.mark.parametrize("file", TESTS, ids=lambda f: str(f.relative_to(TESTS[0].parents[1])))
def test_a_test_is_called_after_its_module_or_its_room(file):
    room = file.parent.relative_to(Path(__file__).parent)
    name = file.stem.removeprefix("test_")
    modules = {path.stem.lstrip("_") for path in (PACKAGE / room).glob("*.py")}
    assert name in modules | {room.name, "layers"}
