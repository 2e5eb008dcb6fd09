"""Whoever asks a tool, a benchmark or an example what it does gets an answer, and nothing else."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [
    path
    for folder in ("tools", "benchmarks", "examples")
    for path in sorted((ROOT / folder).glob("*.py"))
    if "__main__" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_help_says_how_it_is_run_and_does_nothing(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out or str(stop.value.code)  # sys.exit(__doc__)
    assert f"{path.name} " in said or f"usage: {path.name}" in said
    assert not [*tmp_path.iterdir()]
