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
    """The official layout: ``metadata/UrbanSound8K.csv`` and ``audio/fold1`` to ``audio/fold10``.

    A slice that the table lists as ``X.wav`` is also found as ``X.flac`` or ``X.ogg``. A table that
    lists only some of the slices or folds is taken as it is.

    Args:
        root: Folder that holds ``metadata`` and ``audio``.
        folds: Keep only these of the folds 1 to 10; all of them by default.

    Raises:
        DatasetError: the table, one of its columns or a slice is missing, or a row is not valid.
        ConfigError: ``folds`` names one that does not exist.
    """

    name = "UrbanSound8K"
    labels = URBANSOUND8K_LABELS
    fold_numbers = tuple(range(1, 11))
    table = "metadata/UrbanSound8K.csv"
    audio = "audio/fold{fold}"
    columns = Columns("slice_file_name", "fold", "classID", "class", "fsID")
    home = "https://urbansounddataset.weebly.com/urbansound8k.html"
