from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from soundsep.metrics import class_metrics, classification_metrics, confusion_matrix


# Some versions of scikit-learn wonder about few targets of many classes.
@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
@pytest.mark.parametrize("seed", range(30))
def test_figures_equal_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(2, 51))
    n = int(rng.integers(1, 300))
    targets = rng.integers(0, n_classes, n)
    right = rng.random(n) < rng.random()
    predictions = np.where(right, targets, rng.integers(0, n_classes, n))

    confusion = confusion_matrix(targets, predictions, n_classes=n_classes)
    expected = sklearn_metrics.confusion_matrix(targets, predictions, labels=range(n_classes))
    assert np.array_equal(confusion, expected)

    figures = classification_metrics(confusion)
    assert figures.accuracy == pytest.approx(sklearn_metrics.accuracy_score(targets, predictions))
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        targets, predictions, average="macro", zero_division=0
    )
    assert figures.macro_precision == pytest.approx(precision)
    assert figures.macro_recall == pytest.approx(recall)
    assert figures.macro_f1 == pytest.approx(f1)

    table = class_metrics(confusion)
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(
        targets, predictions, labels=range(n_classes), zero_division=0
    )
    np.testing.assert_allclose(table.precision, precision)
    np.testing.assert_allclose(table.recall, recall)
    np.testing.assert_allclose(table.f1, f1)
    assert table.n_targets.tolist() == support.tolist()
