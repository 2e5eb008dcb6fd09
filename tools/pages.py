"""Generated text in pages: what stands between two lines such as <!-- results:begin --> and end."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["filled"]


def filled(page: Path, mark: str, text: str) -> str:
    """The page with this text between its two lines; ends the program where they are missing."""
    begin, end = f"<!-- {mark}:begin -->\n", f"<!-- {mark}:end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{page} has no lines {begin.strip()} and {end}")
    return before + begin + text + end + after
