"""The examples of CONTRIBUTING.md are run, each among the names of the file that it belongs to."""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
from types import SimpleNamespace
from typing import Any

import page_inputs
import pytest
import torch

import soundsep.datasets
import soundsep.labels
from soundsep.cli import commands
from soundsep.config import Config
from soundsep.errors import ConfigError

ROOT = page_inputs.ROOT
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def file_of(block: str) -> str:
    """The file that a Python block says it stands in."""
    match = re.search(r"^# (\S+\.py)", block, re.MULTILINE)
    assert match, f"says no file:\n{block}"
    return match[1]


def names_in(file: str) -> dict[str, Any]:
    """The names of that file; a new frontend has those of waveform.py, as its comment says."""
    file = file.replace("frontends/envelope.py", "frontends/waveform.py")
    if not (ROOT / file).is_file():
        return {"__name__": "example"}
    if file.startswith("src/"):
        return dict(vars(importlib.import_module(file[4:-3].replace("/", "."))))
    return runpy.run_path(str(ROOT / file))


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What each Python block defines, by its file, with the lines of the tables put in place."""
    labels = next(block for block in blocks("diff") if "HARBOUR_LABELS" in block)
    (line,) = re.findall(r"^\+HARBOUR_LABELS.* = (.*)$", labels, re.MULTILINE)
    harbour = tuple(re.findall(r'"(\w+)"', line))
    monkeypatch.setattr(soundsep.labels, "HARBOUR_LABELS", harbour, raising=False)
    found: dict[str, dict[str, Any]] = {}
    for block in blocks("python"):
        file = file_of(block)
        names = found.setdefault(file, names_in(file))
        if file == "tests/unit/augment/test_waveforms.py":
            names["Reverse"] = found["src/soundsep/augment/waveforms.py"]["Reverse"]
        if file == "tests/unit/datasets/test_harbour.py":
            kind = found["src/soundsep/datasets/harbour.py"]["Harbour"]
            monkeypatch.setattr(soundsep.datasets, "Harbour", kind, raising=False)
        if file == "tests/cli/test_labels.py":
            command = SimpleNamespace(
                add_command=found["src/soundsep/cli/labels.py"]["add_command"]
            )
            monkeypatch.setattr(commands, "COMMANDS", (*commands.COMMANDS, command))
        exec(compile(block, f"CONTRIBUTING.md, {file}", "exec", dont_inherit=True), names)
    return found


def test_the_network_has_the_parameters_of_its_line(examples):
    network = examples["src/soundsep/models/cnn.py"]["cnn6"](50)
    (row,) = re.findall(r"^\+\| `cnn6` \|.*$", TEXT, re.MULTILINE)
    assert f"| {sum(p.numel() for p in network.parameters()):,} |" in row
    assert network(torch.zeros(2, 64, 51)).shape == (2, 50)


def test_the_frontend_gives_the_power_of_every_frame(examples):
    names = examples["src/soundsep/frontends/envelope.py"]
    frontend = names["EnvelopeFrontend"](names["EnvelopeConfig"](hop_length=80))
    assert not frontend.state_dict()
    with pytest.raises(ConfigError, match=r"EnvelopeConfig\.hop_length"):
        names["EnvelopeConfig"](hop_length=0)
    assert names["EnvelopeConfig"].__post_init__ is Config.__post_init__, "checks in _check"
    assert frontend(torch.full((2, 200), 0.5)).tolist() == [[[0.25, 0.25]]] * 2


@pytest.mark.parametrize(
    "file",
    [
        "tests/unit/augment/test_waveforms.py",
        "tests/unit/datasets/test_harbour.py",
        "tests/cli/test_labels.py",
    ],
)
def test_the_tests_of_the_examples_pass(examples, file, request):
    (block,) = [block for block in blocks("python") if file_of(block) == file]
    names = re.findall(r"^def (test_\w+)", block, re.MULTILINE)
    assert names
    for name in names:
        test = examples[file][name]
        test(
            **{
                given: request.getfixturevalue(given)
                for given in inspect.signature(test).parameters
            }
        )


def test_names_in_the_text_are_in_the_code():
    guides = [TEXT, (ROOT / "RELEASING.md").read_text(encoding="utf-8")]
    prose = re.sub(r"^```.*?^```", "", "\n".join(guides), flags=re.MULTILINE | re.DOTALL)
    folders = ("src", "tools", "benchmarks", "tests", "examples")
    files = [ROOT / "dev.py", *(file for name in folders for file in (ROOT / name).rglob("*.py"))]
    known = set().union(*(re.findall(r"\w+", file.read_text(encoding="utf-8")) for file in files))
    named = re.findall(r"`(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)(?:\([^`]*\))?`", prose)
    assert {"WRITABLE", "add_device", "frontend_cost"} <= {*named}
    assert [name for name in named if name not in known and not name.startswith("PIP_")] == []


def test_the_lines_that_an_example_changes_are_there():
    found = 0
    for block in blocks("diff"):
        for line in block.splitlines():
            if match := re.match(r" (?:#|<!--) (\S+\.(?:py|md))", line):
                text = (ROOT / match[1]).read_text(encoding="utf-8")
            elif line[:1] in ("-", " ") and line.strip():
                assert f"{line[1:]}\n" in text, line
                found += 1
    assert found > 10
