"""A user's script, typed strictly: what the library promises and what it gives are one."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import soundsep

SCRIPT = Path(__file__).with_name("user_script.py")
SOURCE = Path(soundsep.__file__).parents[1]
# A checkout has to be pointed at. What is installed is found, and mypy refuses to be pointed there.
POINTED = {} if SOURCE.name in ("site-packages", "dist-packages") else {"MYPYPATH": str(SOURCE)}
WRONG = """\
from soundsep import Pipeline
pipe = Pipeline.from_pretrained("esc50-mn04")
pipe(3)
pipe("a.wav").labl
pipe(["a.wav"]).label
pipe("a.wav", top_k="x")
Pipeline("esc50-mn04")
pipe({"a.wav"})[0]
"""


def test_the_script_runs():
    runpy.run_path(str(SCRIPT))


def test_mypy_agrees_with_the_script_and_finds_what_is_wrong(tmp_path):
    """Strict, and with none of our own settings, as whoever has installed the package runs it."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    options = ("--strict", "--config-file=", "--follow-imports=silent", "--python-version=3.10")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, f"--cache-dir={tmp_path}", SCRIPT, wrong],
        capture_output=True,
        text=True,
        env=os.environ | POINTED,
        cwd=tmp_path,
    )
    errors = re.findall(r"(\w+)\.py:(\d+): error", done.stdout)
    assert errors == [("wrong", str(n)) for n in (3, 4, 5, 6, 7, 8)], done.stdout + done.stderr


def test_pyright_agrees_too(tmp_path):
    """Where it is installed: it reads types by other rules, such as those of an editor."""
    pyright = shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed: npm install pyright, or pip install pyright")
    settings = {"extraPaths": [str(SOURCE)], "typeCheckingMode": "standard", "include": ["."]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    shutil.copy(SCRIPT, tmp_path)
    command = [pyright, "--outputjson", "--pythonpath", sys.executable, "-p", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert json.loads(done.stdout)["generalDiagnostics"] == [], done.stderr
