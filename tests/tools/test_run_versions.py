"""Environments that are tested side by side, or one at a time where the disk is small."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import run_versions


@pytest.mark.parametrize(("gigabytes", "expected"), [(5, 1), (20, 1), (30, 2), (500, 2)])
def test_at_once(
    gigabytes: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two environments with torch fill 20 GB while pip unpacks them."""
    usage = SimpleNamespace(free=gigabytes * 2**30)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert run_versions.at_once(2, tmp_path) == expected
