"""Eleven urban sounds of two data sets, under one set of labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from soundsep.datasets.clip import Clip
from soundsep.datasets.crosswalk import ESC50_TO_URBAN11, URBANSOUND8K_TO_URBAN11, crosswalk
from soundsep.datasets.esc50 import ESC50
from soundsep.datasets.leakage import JoinedClips
from soundsep.datasets.urbansound8k import UrbanSound8K
from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import URBAN11_LABELS

__all__ = ["Urban11"]


class Urban11(JoinedClips):
    """Eleven urban sounds, drawn from ESC-50 and UrbanSound8K by a crosswalk, in five folds.

    Fold k holds fold k of ESC-50 and the folds 2k - 1 and 2k of UrbanSound8K. Several classes come
    from one of the two only, so either alone does not cover the eleven.

    Args:
        esc50: Folder of ESC-50.
        urbansound8k: Folder of UrbanSound8K.
        folds: Keep only these of the folds 1 to 5; all of them by default.

    Raises:
        DatasetError: a data set is not complete, or has no clip in these folds.
        ConfigError: no folder is given, or ``folds`` names one that does not exist.
    """

    name = "urban11"
    labels = URBAN11_LABELS
    fold_numbers = ESC50.fold_numbers

    def __init__(
        self,
        *,
        esc50: str | Path | None = None,
        urbansound8k: str | Path | None = None,
        folds: Iterable[int] | None = None,
    ) -> None:
        kept = set(self.fold_numbers if folds is None else folds)
        if not kept or not kept <= set(self.fold_numbers):
            raise ConfigError(f"urban11 has the folds 1 to 5, got {sorted(kept)}")
        if esc50 is None and urbansound8k is None:
            raise ConfigError("urban11 needs the folder of ESC-50, of UrbanSound8K, or both")
        clips: list[Clip] = []
        if esc50 is not None:
            clips += crosswalk(ESC50(esc50), ESC50_TO_URBAN11, self.labels)
        if urbansound8k is not None:
            slices = crosswalk(UrbanSound8K(urbansound8k), URBANSOUND8K_TO_URBAN11, self.labels)
            clips += (replace(clip, fold=(clip.fold + 1) // 2) for clip in slices)
        self.clips = tuple(clip for clip in clips if clip.fold in kept)
        if not self.clips:
            raise DatasetError(f"no clip of urban11 is in the folds {sorted(kept)}")
