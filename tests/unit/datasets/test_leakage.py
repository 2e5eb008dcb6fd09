from __future__ import annotations

from pathlib import Path

import pytest

from soundsep.datasets import Clip
from soundsep.datasets.leakage import check_leakage, without_origins_of
from soundsep.errors import DatasetError


def clip(label: str, origin: str, *, fold: int = 1) -> Clip:
    return Clip(path=Path(f"{origin}.wav"), label=label, target=0, fold=fold, origin=origin)


def test_a_source_on_both_sides_is_a_leak_under_any_class():
    training = [clip("dog", "7"), clip("rain", "8")]
    check_leakage(training, [clip("dog", "9")])
    for label in ("dog", "conversation"):
        with pytest.raises(DatasetError, match=r"1 origins .* example 8"):
            check_leakage(training, [clip(label, "8"), clip("dog", "9")])


def test_sources_of_the_test_are_taken_out():
    training = [clip("dog", "7"), clip("rain", "8")]
    assert without_origins_of(training, [clip("siren", "8")]) == (training[0],)
