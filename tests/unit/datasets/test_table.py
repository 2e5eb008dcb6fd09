"""Data sets in places that cannot be looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soundsep.datasets import ESC50, AudioFolder, AudioTable, UrbanSound8K
from soundsep.errors import DatasetError


@pytest.mark.parametrize("kind", [ESC50, UrbanSound8K, AudioFolder, AudioTable])
def test_what_cannot_be_looked_at_is_an_error_of_ours(kind: Callable[..., Any], tmp_path: Path):
    """No permission does the same, but root has all of them."""
    with pytest.raises(DatasetError, match=r"x cannot be opened: File name too long"):
        kind(tmp_path / ("x" * 300))


def test_recordings_of_a_table_that_cannot_be_looked_at(tmp_path: Path):
    (tmp_path / "a.csv").write_text("path,label\na.wav,dog\nb.wav,cat\n")
    with pytest.raises(DatasetError, match="cannot be opened: File name too long"):
        AudioTable(tmp_path / "a.csv", recordings=tmp_path / ("x" * 300))


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def closed(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(DatasetError, match=rf"{tmp_path.name} cannot be opened: Permission denied"):
        AudioFolder(tmp_path)
