from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from soundsep.datasets import Clip, Concatenation
from soundsep.datasets.crosswalk import ESC50_TO_URBAN11, URBANSOUND8K_TO_URBAN11, crosswalk
from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import ESC50_LABELS, URBAN11_LABELS, URBANSOUND8K_LABELS


def clip(label: str, origin: str, *, fold: int = 1) -> Clip:
    return Clip(path=Path(f"{origin}.wav"), label=label, target=0, fold=fold, origin=origin)


@pytest.mark.parametrize(
    ("table", "labels"),
    [(ESC50_TO_URBAN11, ESC50_LABELS), (URBANSOUND8K_TO_URBAN11, URBANSOUND8K_LABELS)],
)
def test_tables_lead_from_labels_to_labels(table, labels):
    assert set(table) <= set(labels)
    assert set(table.values()) <= set(URBAN11_LABELS)


def test_the_two_tables_cover_the_eleven_only_together():
    esc50, urbansound8k = (set(t.values()) for t in (ESC50_TO_URBAN11, URBANSOUND8K_TO_URBAN11))
    assert esc50 | urbansound8k == set(URBAN11_LABELS)
    assert set(URBAN11_LABELS) - esc50 == {"conversation", "street_music"}


def test_clips_get_the_new_label_and_target_and_the_others_are_dropped():
    clips = [clip("dog_bark", "1"), clip("drilling", "2"), clip("siren", "3")]
    mapped = crosswalk(clips, {"dog_bark": "dog", "siren": "siren"}, ("siren", "dog"))
    assert [(c.label, c.target, c.origin) for c in mapped] == [("dog", 1, "1"), ("siren", 0, "3")]
    with pytest.raises(ConfigError, match="wolf"):
        crosswalk(clips, {"dog_bark": "wolf"}, ("dog",))


def test_the_other_sounds_of_a_clip_get_new_labels_too():
    clips = [replace(clip("bark", "1"), also=("howl", "meow", "wind"))]
    table = {"bark": "dog", "howl": "dog", "meow": "cat"}
    (mapped,) = crosswalk(clips, table, ("dog", "cat"))
    assert (mapped.label, mapped.also) == ("dog", ("cat",))


def test_two_labels_of_a_span_that_become_one_are_one_clip(tmp_path):
    crow = replace(clip("crow", str(tmp_path / "1")), start_seconds=1.0, end_seconds=2.0)
    crow = replace(crow, also=("owl", "wind"))
    owl = replace(crow, label="owl", also=("crow", "wind"))
    later = replace(owl, start_seconds=1.5, end_seconds=2.5)  # which only overlaps
    table = {"crow": "bird", "owl": "bird", "wind": "wind"}
    data = Concatenation([[crow, owl, later]], crosswalks=[table])
    assert [(c.label, c.start_seconds, c.also) for c in data] == [
        ("bird", 1.0, ("wind",)),
        ("bird", 1.5, ("wind",)),
    ]
    with pytest.raises(DatasetError, match=r"\(1 s to 2 s\) as bird is in several parts"):
        Concatenation([[crow, crow]], crosswalks=[table])


def test_parts_that_keep_their_labels_keep_what_is_heard_in_them_of_others(tmp_path):
    dog = replace(clip("dog", str(tmp_path / "1"), fold=1), also=("cat",))
    cat = clip("cat", str(tmp_path / "2"), fold=2)
    both = Concatenation([[dog], [cat]])
    assert [c.also for c in both] == [("cat",), ()]
