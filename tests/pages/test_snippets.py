"""What README and pages show is run as it stands, a page at a time, from top to bottom."""

from __future__ import annotations

import ast
import doctest
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import page_inputs
import pytest
from sybil import Sybil
from sybil.parsers.myst import DocTestDirectiveParser, PythonCodeBlockParser, SkipParser

from soundsep.training import RECIPES, Recipe, Stage, run

ROOT = page_inputs.ROOT
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SYBIL = Sybil(
    [
        DocTestDirectiveParser(doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL),
        PythonCodeBlockParser(),
        SkipParser(),
    ],
    path=str(ROOT),
    pattern="*.md",
)

# Blocks behind a line <!-- skip: next "why" -->.
SKIPPED = {
    "docs/bulk.md": ["reads from the network"],
    "docs/own_classes.md": ["writes to the network"],
    "docs/long_files.md": ["needs a microphone"],
    "docs/quickstart.md": ["needs an accelerator"],
}


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_inputs.make_inputs(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def working_folder(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages name, which a snippet may write to."""
    folder = tmp_path / "work"
    shutil.copytree(inputs, folder, ignore=shutil.ignore_patterns("ESC-50", "UrbanSound8K"))
    for name in ("ESC-50", "UrbanSound8K"):
        (folder / name).symlink_to(inputs / name)
    monkeypatch.chdir(folder)
    return folder


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def shortened(name: str) -> Recipe:
    """An epoch of a small network in place of what takes hours."""
    return RECIPES[name].replace(
        network="cnn8",
        stages=(Stage(epochs=1, crop_seconds=0.5),),
        window_seconds=1.0,
        teacher=None,
        teacher_share=0.0,
        embedding_weight=0.0,
    )


def prepare(page: str, request: pytest.FixtureRequest) -> None:
    """What a single page supposes."""
    monkeypatch = request.getfixturevalue("monkeypatch")
    if page == "docs/bad_input.md":  # a card that was pulled out
        whole = Path("night.wav").read_bytes()
        Path("night.wav").write_bytes(whole[: round(0.41 * len(whole))])
    if page in ("README.md", "docs/separation.md"):
        request.getfixturevalue("all_weights")
    if page in ("docs/models.md", "docs/own_classes.md"):
        monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(request.getfixturevalue("data_dir") / "models"))
    if page == "docs/training.md":
        shutil.rmtree("insects")
        for folder in ("training", "held_out"):
            labels = ("bee", "mosquito", "wasp")
            page_inputs.write_classes(Path("insects", folder), labels, n_clips=1)
        monkeypatch.setitem(RECIPES, "esc50-resnet18", shortened("esc50-resnet18"))
        monkeypatch.setattr(run, "get_recipe", shortened)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
@pytest.mark.usefixtures("working_folder")
def test_every_snippet_runs_as_it_stands(page, request):
    prepare(name_of(page), request)
    skipped = []
    for example in SYBIL.parse(page).examples():
        try:
            example.evaluate()
        except SkipTest as reason:
            skipped.append(str(reason))
    assert skipped == SKIPPED.get(name_of(page), [])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_imports_what_it_uses_of_a_library(page):
    # Variables may come from a block above; a reader who copies one block has no imports of others.
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    trees = [ast.parse(block) for block in blocks]
    imported = [
        {
            (name.asname or name.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        }
        for tree in trees
    ]
    used = [{node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} for tree in trees]
    anywhere = set().union(*imported)
    missing = [names & anywhere - own for names, own in zip(used, imported, strict=True)]
    assert [names for names in missing if names] == []


@pytest.mark.slow  # it starts five processes that import torch; the block's functions run above
def test_the_pool_of_processes_tags_the_archive(working_folder):
    text = (ROOT / "docs" / "bulk.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if '__name__ == "__main__"' in block)
    Path("tag.py").write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "tag.py"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert sorted(Path(row["path"]).name for row in rows) == ["1.flac", "2.flac"]
    assert all(row["predictions"] for row in rows)
