"""UrbanSound8K: 8732 slices of up to 4 s, 10 classes, ten official folds.

References:
    Salamon, Jacoby, Bello (2014), "A dataset and taxonomy for urban sound research", ACM
    Multimedia.
"""

from __future__ import annotations

from soundsep.datasets.table import Columns, TableDataset
from soundsep.labels import URBANSOUND8K_LABELS

__all__ = ["UrbanSound8K"]


class UrbanSound8K(TableDataset):
    """The official layout: ``metadata/UrbanSound8K.csv``, ``audio/fold1`` to ``audio/fold10``.

    A table may list only some of the slices or folds; see `TableDataset`.
    """

    name = "UrbanSound8K"
    labels = URBANSOUND8K_LABELS
    fold_numbers = tuple(range(1, 11))
    table = "metadata/UrbanSound8K.csv"
    audio = "audio/fold{fold}"
    columns = Columns("slice_file_name", "fold", "classID", "class", "fsID")
    home = "https://urbansounddataset.weebly.com/urbansound8k.html"
