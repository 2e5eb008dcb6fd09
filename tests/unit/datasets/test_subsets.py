from __future__ import annotations

from pathlib import Path

import pytest

from soundsep.datasets import Clip
from soundsep.datasets.subsets import of_several_labels


@pytest.mark.parametrize(
    ("label", "also", "is_of_several"),
    [
        ("owl", (), False),
        ("owl", ("tit",), True),
        ("owl", ("wind",), False),
        ("owl", ("owl",), False),
        ("wind", ("owl",), False),
        ("wind", ("owl", "tit"), True),
    ],
)
def test_labels_that_are_no_class_do_not_count(label, also, is_of_several):
    clip = Clip(path=Path("a.wav"), label=label, target=0, fold=1, origin="a", also=also)
    assert of_several_labels([clip], ["owl", "tit"]) == ((clip,) if is_of_several else ())
