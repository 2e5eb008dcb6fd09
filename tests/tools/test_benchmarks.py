"""Benchmarks write ratios, and one command compares them with those that were stored."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def baseline(monkeypatch, tmp_path):
    """The command, with a table of its own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("baseline", BENCHMARKS / "baseline.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BASELINE", tmp_path / "baseline.json")
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    monkeypatch.setattr(module, "README", tmp_path / "README.md")
    page = (BENCHMARKS.parent / "docs" / "speed.md").read_text(encoding="utf-8")
    (tmp_path / "speed.md").write_text(page, encoding="utf-8")
    monkeypatch.setattr(module, "SPEED", tmp_path / "speed.md")
    return module


def test_every_benchmark_writes_its_ratios_and_is_run_by_the_command(baseline):
    helpers = {"baseline", "parts_picture", "ratios"}
    scripts = {path.stem: path for path in BENCHMARKS.glob("*.py") if path.stem not in helpers}
    assert scripts.keys() == baseline.RUNS.keys()
    for name, path in scripts.items():
        text = path.read_text(encoding="utf-8")
        assert "add_json_option(parser)" in text
        assert f'save_ratios(arguments.json, "{name}", ' in text


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [
        (2.0, 2.9, ""),
        (2.0, 3.1, "moved"),
        (2.0, 1.4, ""),
        (2.0, 1.3, "moved"),
        (None, 1.0, "new"),
        (1.0, None, "gone"),
        (1.0, 0.0, "moved"),
        (0.0, 0.0, ""),
    ],
)
def test_a_ratio_may_move_by_the_tolerance_either_way(baseline, was, now, verdict):
    old, new = ({"x": {"a / b": r} if r is not None else {}} for r in (was, now))
    lines, n_moved = baseline.compare(old, new, tolerance=0.5)
    assert len(lines) == 3
    assert lines[2].endswith(f"| {verdict} |")
    assert n_moved == bool(verdict)


def test_recorded_and_compared(baseline, monkeypatch, capsys):
    monkeypatch.setattr(baseline, "RUNS", {"x": [], "y": []})
    found = {"x": {"a / b": 2.0}, "y": {"c / d": 1.0}}
    tables = {"x": "| a |\n|---|\n| 1 |\n", "y": "| b |\n|---|\n| 2 |"}
    monkeypatch.setattr(baseline, "measure", lambda name: (found[name], tables[name]))
    with pytest.raises(SystemExit, match="2"):  # nothing to compare with
        baseline.main([])
    assert "--record" in capsys.readouterr().err
    assert baseline.main(["--record"]) == 0
    stored = json.loads(baseline.BASELINE.read_text(encoding="utf-8"))
    assert stored["ratios"] == found
    assert stored["tables"] == tables
    page = baseline.README.read_text(encoding="utf-8")
    for name, table in tables.items():
        assert f"`{name}.py`:\n\n{table.strip()}\n" in page
    assert stored["versions"]["torch"]
    assert stored["machine"]["cores"]
    assert baseline.main([]) == 0
    found["x"] = {"a / b": 4.0}
    assert baseline.main(["y"]) == 0
    assert baseline.main(["x"]) == 1
    assert baseline.main(["x", "--tolerance", "1.1"]) == 0
    assert "| x | a / b | 2 | 4 | moved |" in capsys.readouterr().out
    assert baseline.main(["x", "--record"]) == 0
    assert json.loads(baseline.BASELINE.read_text(encoding="utf-8"))["ratios"] == found
    with pytest.raises(SystemExit, match="2"):
        baseline.main(["z"])
    # The tables that are stored, written once more over whatever stands there.
    head, tail = page.split(baseline.BEGIN)[0], page.split(baseline.END)[1]
    baseline.README.write_text(head + baseline.BEGIN + "old\n" + baseline.END + tail)
    assert baseline.main(["--pages"]) == 0
    assert baseline.README.read_text(encoding="utf-8") == page
    baseline.README.write_text("no marks")
    with pytest.raises(SystemExit, match="no place for the tables"):
        baseline.main(["--pages"])


SVG = "{http://www.w3.org/2000/svg}"


def test_where_the_time_goes_is_drawn_on_the_page_of_speed(baseline, tmp_path):
    parts = {"decode": 0.2, "resample": 0.1, "features": 0.25, "network": 0.41, "rest": 0.04}
    ratios = {
        f"{part} / whole, {what}, {runtime}": share
        for runtime in ("torch", "onnx")
        for what in ("32 clips of 5 s", "a recording of 120 s")
        for part, share in parts.items()
    }
    content = {
        "measured": "2026-01-02T03:04:05+00:00",
        "machine": {"system": "Linux", "processor": "a < b", "cores": 2},
        "versions": {"python": "3.11"},
        "ratios": {"parts": ratios},
        "tables": {"parts": "| part | ms |\n|---|---|\n| decode | 1.0 |\n"},
    }
    baseline.BASELINE.write_text(json.dumps(content), encoding="utf-8")
    for _ in range(2):  # the second time over the first
        assert baseline.main(["--pages"]) == 0
    page = baseline.SPEED.read_text(encoding="utf-8")
    assert page.count(f"]({baseline.PICTURE})") == 1
    assert page.count("| 32 clips of 5 s, PyTorch | 20% | 10% | 25% | 41% | 4% |") == 1
    assert "2026-01-02 on 2 cores of a < b" in page
    assert "No run is recorded" not in page
    picture = ElementTree.parse(tmp_path / baseline.PICTURE)
    titles = [text.text for text in picture.iter(f"{SVG}text")]
    for title in ("32 clips of 5 s, PyTorch", "a recording of 120 s, ONNX Runtime"):
        assert titles.count(title) == 1
    assert titles.count("41%") == 4
    assert "4%" not in titles  # too narrow for its number
    bars = [rect for rect in picture.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    assert len(bars) == 4 * len(parts)
    for first in range(0, len(bars), len(parts)):
        ends = 12.0
        for rect, share in zip(bars[first : first + 5], parts.values(), strict=True):
            assert float(rect.get("x")) == pytest.approx(ends, abs=0.11)
            assert float(rect.get("width")) == pytest.approx(616 * share, abs=0.06)
            ends += 616 * share


def test_a_share_of_an_unknown_part_is_refused(baseline):
    with pytest.raises(ValueError, match="no share of a part: 'sleep / whole"):
        baseline.shares_of({"sleep / whole, 32 clips of 5 s, torch": 0.1})
