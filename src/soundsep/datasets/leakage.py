"""Whether a recording is on both sides of a split, whatever the data set or the class."""

from __future__ import annotations

from collections.abc import Iterable

from soundsep.datasets.clip import Clip
from soundsep.datasets.fingerprint import find_near_duplicates
from soundsep.errors import DatasetError

__all__ = ["check_leakage", "without_sources_of"]


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
