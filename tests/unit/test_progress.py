from __future__ import annotations

import ast
import io
import sys
import threading
from pathlib import Path

import pytest
from tqdm import tqdm

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


def test_where_no_bar_is_shown_nothing_waits_for_a_lock_of_other_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that was killed while it held the lock of tqdm would stop all that share it."""
    monkeypatch.setattr(tqdm, "monitor", None)
    done = []

    def go_on() -> None:
        with progress_bar([1, 2], progress=False) as bar:
            done.extend(bar)
            bar.update(bar.n)
            bar.set_postfix(failed=0, refresh=False)
        with progress_bar(total=2, progress=False) as bar:
            bar.update()

    with tqdm.get_lock():
        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        thread.join(10)
    assert done == [1, 2]
    assert tqdm.monitor is None  # a thread of tqdm
