"""From the classes of one data set to those of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from soundsep.datasets.clip import Clip, checked_clips
from soundsep.datasets.pieces import Piece
from soundsep.errors import ConfigError

__all__ = ["ESC50_TO_URBAN11", "URBANSOUND8K_TO_URBAN11", "crosswalk"]

#: From ESC-50. "human" is what AudioSet's ontology files under "Human sounds": brushing teeth and
#: drinking, which ESC-50 counts as human, are there a tool and a liquid.
ESC50_TO_URBAN11: dict[str, str] = {
    "dog": "dog",
    "cat": "cat",
    "rain": "rain",
    "wind": "wind",
    "thunderstorm": "thunderstorm",
    "crying_baby": "human",
    "sneezing": "human",
    "clapping": "human",
    "breathing": "human",
    "coughing": "human",
    "footsteps": "human",
    "laughing": "human",
    "snoring": "human",
    "siren": "siren",
    "car_horn": "car_horn",
    "train": "train",
}

#: From UrbanSound8K. "conversation" is a stand-in: neither data set has a class of talk, and these
#: are the only voices among people.
URBANSOUND8K_TO_URBAN11: dict[str, str] = {
    "car_horn": "car_horn",
    "children_playing": "conversation",
    "dog_bark": "dog",
    "siren": "siren",
    "street_music": "street_music",
}


def crosswalk(
    clips: Iterable[Clip], table: Mapping[str, str], labels: Sequence[str]
) -> tuple[Clip, ...]:
    """Clips under the classes of another label set; those that the table leaves out are dropped.

    So are the labels in ``Clip.also`` that it leaves out. Where two labels of one span become one,
    so do the two clips.

    Args:
        clips: Clips of any data set.
        table: Maps their labels to the new ones.
        labels: The new label set, in the order of the targets.

    Raises:
        ConfigError: the table maps to a label that is not in the set, or a clip is none.
    """
    if unknown := sorted(set(table.values()) - set(labels)):
        raise ConfigError(f"the crosswalk maps to {', '.join(unknown)}, not in the label set")
    target = {label: index for index, label in enumerate(labels)}
    found = []
    known_as: dict[tuple[Path | Piece, str], str] = {}  # a clip under its new label: the old one
    for clip in checked_clips("crosswalk takes clips", clips):
        if (label := table.get(clip.label)) is None:
            continue
        # A clip that is there twice stays so, for Concatenation to refuse.
        if known_as.setdefault((clip.audio, label), clip.label) == clip.label:
            also = {table[other] for other in clip.also if other in table} - {label}
            found.append(replace(clip, label=label, target=target[label], also=tuple(sorted(also))))
    return tuple(found)
