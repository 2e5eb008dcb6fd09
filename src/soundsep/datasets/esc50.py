"""ESC-50: 2000 clips of 5 s, 50 classes, five official folds.

References:
    Piczak (2015), "ESC: Dataset for environmental sound classification", ACM Multimedia.
"""

from __future__ import annotations

from soundsep.datasets.clip import Clip
from soundsep.datasets.table import Columns, TableDataset
from soundsep.labels import ESC50_LABELS

__all__ = ["ESC50", "Clip"]


class ESC50(TableDataset):
    """The official layout: ``meta/esc50.csv`` and ``audio/*.wav``; see `TableDataset`."""

    name = "ESC-50"
    labels = ESC50_LABELS
    fold_numbers = tuple(range(1, 6))
    table = "meta/esc50.csv"
    audio = "audio"
    columns = Columns("filename", "fold", "target", "category", "src_file")
    home = "https://github.com/karolpiczak/ESC-50"

    def recording(self, clip: Clip) -> tuple[str, ...]:
        """What must not be on both sides of a split: an origin with its class."""
        # Four recordings (131943, 134049, 209698, 234879) lie in two official folds, each time as
        # another class (a hen here, a rooster there), so the class has to match as well.
        return (clip.origin, clip.label)
