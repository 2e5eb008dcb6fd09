"""What pages say is what the library does."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

import soundsep
import soundsep.datasets
from soundsep import ClipResult, Pipeline, example
from soundsep.augment import Gain, Mask, Mixup
from soundsep.checkpoints import DEFAULT_EVENT_MODEL, DEFAULT_MODEL, PUBLISHED
from soundsep.labels import ESC50_LABELS
from soundsep.training import get_recipe

ROOT = Path(__file__).resolve().parents[2]


def page_text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "tool",
    [
        "update_results",
        "run_recipes",
        "measure_onnx",
        "measure_separation",
        "world_pages",
        "choose_level",
    ],
)
def test_every_page_agrees_with_its_results_file(tool):
    assert importlib.import_module(tool).RESULTS.stale() == []


def accuracies_on_clips() -> dict[str, dict[str, float]]:
    """By results file: the accuracy of each model on the clips of its fold, as they are."""
    results = {
        tool: importlib.import_module(tool).RESULTS.read()
        for tool in (
            "update_results",
            "world_pages",
            "measure_onnx",
            "measure_separation",
            "choose_level",
        )
    }
    published = results["update_results"]
    return {
        "update_results": {
            name: row["accuracy"]
            for name, row in published.items()
            if "accuracy" in row and "fold_accuracies" not in row  # the mean of five models
        },
        "world_pages": {n: row["single"]["accuracy"] for n, row in results["world_pages"].items()},
        "measure_onnx": {
            PUBLISHED[row["model"]].name: row["accuracy"]
            for row in results["measure_onnx"]["rows"]
            if row["kind"] == "PyTorch"
        },
        "measure_separation": {
            name: row["as it is"] for name, row in results["measure_separation"]["clips"].items()
        },
        "choose_level": {
            f"{name}-fold5": cases["no offset"][0]
            for name, cases in results["choose_level"]["offsets"].items()
        },
    }


def test_a_model_has_one_accuracy_on_all_pages():
    by_file = accuracies_on_clips()
    told: dict[str, dict[str, float]] = {}
    for file, accuracies in by_file.items():
        for name, accuracy in accuracies.items():
            told.setdefault(name, {})[file] = accuracy
    assert {n: row for n, row in told.items() if len(set(row.values())) > 1} == {}
    assert all(any(len(told[name]) > 1 for name in row) for row in by_file.values())


def test_exports_are_measured_of_the_models_that_are_published():
    exported = importlib.import_module("measure_onnx").RESULTS.read()
    published = importlib.import_module("update_results").RESULTS.read()
    rows = [row for row in exported["rows"] if row["kind"] == "PyTorch"]
    assert rows
    for row in rows:
        figures = published[PUBLISHED[row["model"]].name]
        if "clips_accuracy" in figures:  # of scenes
            assert figures["protocol"] == f"fold {exported['test_fold']} held out"
            assert row["accuracy"] == figures["clips_accuracy"]
            continue
        for key in ("data", "test_fold", "n_clips"):
            assert exported[key] == figures[key]
        assert row["calibration_error"] == pytest.approx(figures["calibration_error"], abs=1e-4)


def test_the_first_pages_use_the_default_models():
    for page in ("README.md", "docs/index.md", "docs/quickstart.md"):
        text = page_text(page)
        names = re.findall(r'Pipeline\.from_pretrained\("([^"]+)"', text)
        assert DEFAULT_EVENT_MODEL in names
        assert set(names) <= {DEFAULT_MODEL, DEFAULT_EVENT_MODEL}


def test_the_demo_names_what_the_readme_shows(tmp_path):
    tables = re.findall(
        r"^examples/sounds/(\S+, 5\.0 s\n(?:  .*\n)+)", page_text("README.md"), re.MULTILINE
    )
    runpy.run_path(str(ROOT / "examples" / "synthesise_sounds.py"))["main"](tmp_path)
    assert len(tables) == 3
    files = [tmp_path / table.split(",")[0] for table in tables]
    for shown, result in zip(tables, Pipeline.from_pretrained(DEFAULT_MODEL)(files), strict=True):
        labels, numbers = labels_and_numbers(shown.partition("\n")[2])
        assert [p.label for p in result.top(3)] == labels
        assert [p.score for p in result.top(3)] == pytest.approx(numbers, abs=0.0011)


@pytest.mark.parametrize(
    ("page", "min_score"),
    [("README.md", 0.0), ("docs/quickstart.md", 0.0), ("docs/long_files.md", 0.98)],
)
def test_the_night_has_the_events_that_pages_show(page, min_score):
    text = page_text(page)
    shown = re.search(r'example\("night"\)(.*?)\):.*?```text\n(.*?)```', text, re.DOTALL)
    assert shown
    assert shown[1] == (f", min_score={min_score}" if min_score else "")
    pipe = Pipeline.from_pretrained(DEFAULT_EVENT_MODEL)
    events = "\n".join(map(str, pipe.events(example("night"), min_score=min_score)))
    labels, numbers = labels_and_numbers(events)
    assert labels_and_numbers(shown[2]) == (labels, pytest.approx(numbers, abs=0.0011))


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "RELEASING.md", "SECURITY.md"])
def test_the_pages_for_contributors_name_files_that_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    folders = r"(?:src|tests|docs|tools|benchmarks|weights|\.ci|\.github)"
    ours = rf"`({folders}/[\w./-]*|[\w-]+\.(?:md|cff|toml))`"
    files = set(re.findall(ours, prose)) - {"weights/NAME/", "weights/NAME/README.md"}
    files -= set(re.findall(ours, table_of_places(text)))
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []


def table_of_places(text: str) -> str:
    """The table whose columns say in which folder their files are."""
    return "\n".join(re.findall(r"^\| What \| Code.*\n(?:\|.*\n)+", text, re.MULTILINE))


def test_the_table_of_figures_has_every_mark_with_the_tool_that_fills_it():
    contributing = page_text("CONTRIBUTING.md")
    section = re.split(r"^### ", contributing, flags=re.MULTILINE)
    (table,) = [part for part in section if part.startswith("Figures on pages")]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) \|", table, re.MULTILINE)
    named = {mark: row for row in rows for mark in re.findall(r"`(\S+)`", row[0])}
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    marked = {
        (mark, str(page.relative_to(ROOT)))
        for page in pages
        for mark in re.findall(r"^<!-- (\S+):begin -->$", page.read_text("utf-8"), re.MULTILINE)
    }
    assert marked == {
        (mark, page) for mark, row in named.items() for page in re.findall(r"`(\S+\.md)`", row[1])
    }
    filling = {
        tool.name.replace("world_pages", "measure_world"): re.findall(r'filled\(\w+, "(\S+)"', text)
        for tool in ROOT.glob("tools/*.py")
        if "filled(" in (text := tool.read_text("utf-8")) and "def filled" not in text
    }
    assert {mark for marks in filling.values() for mark in marks} == named.keys() - {"recorded"}
    assert set(re.findall(r"`tools/(\w+\.py)`", table)) == filling.keys()


def test_what_upgrading_names_in_place_of_old_names_exists():
    rows = re.findall(r"^\| (`.*) \| (.*) \|$", page_text("docs/upgrading.md"), re.MULTILINE)
    modules = {name for _, now in rows for name in re.findall(r"`(soundsep[\w.]+)`", now)}
    assert len(modules) > 4
    assert all(importlib.util.find_spec(name) for name in modules)
    gone = {name for old, _ in rows for name in re.findall(r"`(soundsep\.\w+)`", old)}
    assert len(gone) == 4
    assert not any(importlib.util.find_spec(name) for name in gone)
    steps = (Gain(max_db=6.0), Mixup(probability=0.5)), (Mask(axis="time"), Mask(axis="frequency"))
    recipe = get_recipe("esc50-resnet18").replace(waveform_steps=steps[0], feature_steps=steps[1])
    assert recipe.report_every == 10
    assert ClipResult(path="a.wav").to_dict()["path"] == "a.wav"


def test_the_table_of_where_things_go_names_files_that_exist():
    table = table_of_places((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    places = [ROOT, ROOT / "src" / "soundsep", ROOT / "docs", ROOT / "tests"]
    files = set(re.findall(r"`([\w./-]+(?:/|\.py|\.md|\.json))`", table))
    assert len(files) > 20
    assert [file for file in files if not any((p / file).exists() for p in places)] == []


def test_the_glossary_names_attributes_that_exist():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    places = (soundsep, soundsep.datasets)
    names = re.findall(r"`([A-Z][a-z]\w+)\.(\w+)`", text)
    assert names
    for owner, attribute in names:
        classes = [getattr(place, owner) for place in places if owner in place.__all__]
        assert classes, owner
        assert hasattr(classes[0], attribute), f"{owner}.{attribute}"


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every name that a module gives to a class, function, argument, field or constant."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
            yield node.id


# Words that the glossary has others for. A source is a separated sound, and nothing else.
REFUSED = re.compile(
    r"source|source_(name|path|rate|id|file)|[A-Z].*(Figures|Stems?|Detections?)([A-Z].*)?"
    r"|(?i:least|most|largest|smallest|longest|shortest|highest|lowest)_(?!confused).*"
    r"|Stems?([A-Z].*)?"
)


def test_names_keep_to_the_glossary():
    assert all(map(REFUSED.fullmatch, ("source", "NamingFigures", "StemFiles", "LEAST_X")))
    assert not any(map(REFUSED.fullmatch, ("sources", "source_weight", "MIN_X", "SystemFiles")))
    found = [
        f"{file.name}: {name}"
        for file in sorted((ROOT / "src" / "soundsep").rglob("*.py"))
        for name in names_in(ast.parse(file.read_text(encoding="utf-8")))
        if REFUSED.fullmatch(name)
    ]
    assert found == []


def test_the_citation_is_of_the_newest_release():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[([\d.]+)\] - ([\d-]+)$", changelog, re.MULTILINE)
    assert f"\nversion: {releases[0][0]}\n" in citation
    assert f'\ndate-released: "{releases[0][1]}"\n' in citation


def test_the_first_page_shows_what_its_code_draws_and_prints(tmp_path):
    page = importlib.import_module("draw_first_page")
    printed = page.run(tmp_path)
    assert (tmp_path / "street.png").read_bytes().startswith(b"\x89PNG")
    for file in page.PAGES:
        text = file.read_text(encoding="utf-8")
        shown = re.search(rf"{re.escape(page.code())}```\n\n```text\n(.*?)```", text, re.DOTALL)
        assert shown, file
        labels, numbers = labels_and_numbers(printed)
        assert labels_and_numbers(shown[1]) == (labels, pytest.approx(numbers, abs=0.01))
    assert page.PICTURE.stat().st_size < 200_000


def labels_and_numbers(events: str) -> tuple[list[str], list[float]]:
    """What a printed list of events says, apart."""
    return re.findall(r"[a-z_]{2,}", events), [float(n) for n in re.findall(r"\d+\.\d+", events)]


def test_the_page_of_models_lists_every_label_once():
    section = re.search(r"^## The 50 sounds\n(.*?)^## ", page_text("docs/models.md"), re.M | re.S)
    assert section
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^(?:- \*\*|  `).*\n", section[1], re.M)))
    assert sorted(listed) == sorted(ESC50_LABELS)


def test_the_first_page_states_the_accuracy_of_the_default_model():
    shown = re.search(r"\[in (\d+) % of cases\]", page_text("docs/index.md"))
    row = re.search(rf"^\| `{DEFAULT_MODEL}` \| ([\d.]+)% ", page_text("docs/models.md"), re.M)
    assert shown
    assert row
    assert int(shown[1]) == int(float(row[1]))
