from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest

import soundsep
from soundsep.progress import is_terminal, progress_bar

PACKAGE = Path(soundsep.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_bars_are_shown_unless_a_caller_says_no(module: Path) -> None:
    """``progress`` is keyword-only; where it has a default, that is True."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        options = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        for option, default in options:
            if option.arg == "progress" and not (default is None or ast.unparse(default) == "..."):
                assert ast.unparse(default) == "True", node.name
                is_public = not node.name.startswith("_") or node.name == "__call__"
                assert is_public, f"{node.name} is for callers that choose"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_shown_on_a_terminal_alone(
    progress: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(progress_bar([1, 2], progress=progress)) == [1, 2]
        assert bool(stream.getvalue()) == (progress and is_terminal(stream))
