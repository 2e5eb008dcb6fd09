"""Whether a recording is on both sides of a split, whatever the data set or the class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from soundsep.config import check_choice
from soundsep.datasets.clip import Clip, FoldedClips, checked_clips
from soundsep.datasets.fingerprint import find_near_duplicates
from soundsep.errors import DatasetError

__all__ = ["JoinedClips", "check_leakage", "without_origins_of"]


class JoinedClips(FoldedClips):
    """Clips of several data sets, in which the same recordings may lie in different folds."""

    def split(self, test_fold: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """Training clips, and the clips of ``test_fold``.

        A clip of another fold whose origin is in the test fold is in neither.

        Raises:
            ConfigError: one of the two would be empty.
        """
        training, test = self._hold_out(test_fold)
        return without_origins_of(training, test), test


def without_origins_of(clips: Iterable[Clip], test: Iterable[Clip]) -> tuple[Clip, ...]:
    """The clips whose origin is not in ``test``, whatever the data set or the class."""
    origins = {clip.origin for clip in test}
    return tuple(clip for clip in clips if clip.origin not in origins)


def check_leakage(
    training: Iterable[Clip],
    test: Iterable[Clip],
    *,
    audio: bool = False,
    errors: Literal["raise", "skip"] = "raise",
) -> None:
    """Make sure that no origin is on both sides, whatever the data set or the class.

    ESC-50 and UrbanSound8K both name origins by their number on Freesound, and share 94 of them.
    This is stricter than the official folds of ESC-50, which split four recordings by class.

    Args:
        training: Training clips.
        test: Test clips.
        audio: Compare the audio too: check with `find_near_duplicates` that no clip is a
            near-duplicate of one on the other side, whatever their origins.
        errors: For ``audio``: ``"raise"`` stops at the first clip that cannot be read; ``"skip"``
            compares all others, and names those that cannot in a warning.

    Raises:
        DatasetError: an origin, or with ``audio`` a recording, is on both sides.
        AudioError: a clip cannot be read for ``audio``, and ``errors`` is ``"raise"``.
        ConfigError: a clip is something else, such as a path, or ``errors`` is another word.

    Warns:
        SoundsepWarning: clips cannot be read for ``audio``, and ``errors`` is ``"skip"``.
    """
    check_choice("errors", errors, ("raise", "skip"))
    training, test = (checked_clips("check_leakage takes clips", side) for side in (training, test))
    heard = {clip.origin: clip for clip in training}
    shared = {clip.origin: clip for clip in test if clip.origin in heard}
    if shared:
        origin, clip = min(shared.items())
        raise DatasetError(
            f"{len(shared)} origins are in the training and in the test clips, for "
            f"example {origin}: {heard[origin].path} and {clip.path}; remove the clips of "
            "these origins from the training clips"
        )
    if audio and (pairs := find_near_duplicates(training, test, errors=errors)):
        raise DatasetError(
            f"{len(pairs)} training clips hold the same recording as a test clip, for example "
            f"{pairs[0].training.path} and {pairs[0].test.path} (similarity "
            f"{pairs[0].similarity:.2f}); give them one origin, or remove them from the training"
        )
