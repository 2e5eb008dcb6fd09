"""Numbers on pages come from the results file."""

from __future__ import annotations

import runpy
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "update_results.py"


def test_every_page_agrees_with_the_results_file():
    assert runpy.run_path(str(TOOL))["stale_pages"]() == []
