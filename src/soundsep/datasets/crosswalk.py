"""From the classes of one data set to those of another, and one test for leaks across them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from soundsep.datasets.clip import Clip, FoldedClips
from soundsep.datasets.esc50 import ESC50
from soundsep.datasets.fingerprint import find_near_duplicates
from soundsep.datasets.urbansound8k import UrbanSound8K
from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import URBAN11_LABELS

__all__ = [
    "ESC50_TO_URBAN11",
    "URBANSOUND8K_TO_URBAN11",
    "Urban11",
    "check_leakage",
    "crosswalk",
    "without_sources_of",
]

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

    Args:
        clips: Of any data set.
        table: From their labels to the new ones.
        labels: The new label set, in the order of the targets.

    Raises:
        ConfigError: the table leads to a label that is not in the set.
    """
    if unknown := sorted(set(table.values()) - set(labels)):
        raise ConfigError(f"the crosswalk leads to {', '.join(unknown)}, not in the label set")
    target = {label: index for index, label in enumerate(labels)}
    return tuple(
        replace(clip, label=table[clip.label], target=target[table[clip.label]])
        for clip in clips
        if clip.label in table
    )


def without_sources_of(clips: Iterable[Clip], test: Iterable[Clip]) -> tuple[Clip, ...]:
    """The clips whose source recording is not in ``test``, whatever the data set or the class."""
    sources = {clip.source for clip in test}
    return tuple(clip for clip in clips if clip.source not in sources)


def check_leakage(training: Iterable[Clip], test: Iterable[Clip], *, audio: bool = False) -> None:
    """Make sure that no source recording is on both sides, whatever the data set or the class.

    ESC-50 and UrbanSound8K both name sources by their number on Freesound, and share 94 of them.
    Stricter than the official folds of ESC-50, which part four recordings by their class.

    Args:
        training: Clips that are learnt from.
        test: Clips that are judged on.
        audio: Listen as well: see that no clip is a near-duplicate of one on the other side, by
            `find_near_duplicates`, whatever the sources are called.

    Raises:
        DatasetError: one is.
        AudioError: ``audio``, and a clip cannot be read.
    """
    training, test = tuple(training), tuple(test)
    heard = {clip.source: clip for clip in training}
    shared = {clip.source: clip for clip in test if clip.source in heard}
    if shared:
        source, clip = min(shared.items())
        raise DatasetError(
            f"{len(shared)} source recordings are in the training and in the test clips, for "
            f"example {source}: {heard[source].path} and {clip.path}; take the clips of these "
            "sources out of the training"
        )
    if audio and (pairs := find_near_duplicates(training, test)):
        raise DatasetError(
            f"{len(pairs)} training clips hold the same recording as a test clip, for example "
            f"{pairs[0].training.path} and {pairs[0].test.path} (similarity "
            f"{pairs[0].similarity:.2f}); give them one source, or take them out of the training"
        )


class Urban11(FoldedClips):
    """Eleven urban sounds, drawn from ESC-50 and UrbanSound8K by a crosswalk, in five folds.

    Fold k holds fold k of ESC-50 and the folds 2k - 1 and 2k of UrbanSound8K. Several classes come
    from one of the two only, so either alone does not cover the eleven.

    Args:
        esc50: Folder of ESC-50.
        urbansound8k: Folder of UrbanSound8K.
        folds: Keep only these of the folds 1 to 5; all of them by default.

    Raises:
        DatasetError: a data set is not complete, or has no clip in these folds.
        ConfigError: there is no folder, or ``folds`` names one that does not exist.
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

    def split(self, test_fold: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """Training clips, and the clips of ``test_fold``.

        A clip of another fold whose source recording is in the test is in neither.

        Raises:
            ConfigError: one of the two would be empty.
        """
        training, test = self._hold_out(test_fold)
        return without_sources_of(training, test), test
