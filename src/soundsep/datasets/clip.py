"""One labelled recording, and what every list of them with folds can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from soundsep.errors import ConfigError

__all__ = ["Clip", "FoldedClips"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One labelled recording of a data set.

    Attributes:
        path: The audio file.
        label: Name of its class.
        target: Index of its class.
        fold: Official fold.
        source: Id of the recording it was cut from; clips of one source are never independent. In
            ESC-50 and in UrbanSound8K it is the number of the recording on Freesound.
    """

    path: Path
    label: str
    target: int
    fold: int
    source: str


class FoldedClips:
    """Clips with the folds of a protocol.

    Attributes:
        name: Of the data set.
        labels: Names of the classes, in the order of the targets.
        fold_numbers: All folds of the protocol.
        clips: Those that were kept.
    """

    name: str
    labels: tuple[str, ...]
    fold_numbers: tuple[int, ...]
    clips: tuple[Clip, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def split(self, test_fold: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """Training clips, and the clips of ``test_fold``.

        Raises:
            ConfigError: one of the two would be empty.
        """
        training = tuple(clip for clip in self.clips if clip.fold != test_fold)
        test = tuple(clip for clip in self.clips if clip.fold == test_fold)
        if not training or not test:
            raise ConfigError(f"holding fold {test_fold} out leaves one side of the split empty")
        return training, test
