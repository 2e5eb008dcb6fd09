"""Sounds of packages that are none of the labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from collect_strangers import is_named_like_a_label, like_labels


def test_tags_that_sound_like_a_label() -> None:
    """Whole words and their beginnings, not within a word; not of speech or music."""
    tags = ("Cat", "Cattle, bovinae", "Delicate", "Train horn", "Rain_on_surface", "Harp")
    assert like_labels((*tags, "Speech synthesizer, bell")) == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("name", "is_like"),
    [
        ("Dog-bark2.wav", True),
        ("big_EXPLOSION.ogg", True),
        ("dogma.wav", False),
        ("jump.wav", False),
    ],
)
def test_words_of_a_file_name(name: str, is_like: bool) -> None:
    """A number after a word does not hide it."""
    assert is_named_like_a_label(Path("door") / name) == is_like
