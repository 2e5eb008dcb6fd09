"""One labelled recording, and lists of them with folds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, overload

from torch import Tensor
from torch.utils.data import Dataset

from soundsep.datasets.pieces import Piece
from soundsep.devices import check_tensor
from soundsep.errors import ConfigError, DatasetError

__all__ = ["Clip", "FoldedClips", "checked_clips", "checked_targets"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One labelled recording of a data set.

    Attributes:
        path: The audio file.
        label: Name of its class.
        target: Index of its class.
        fold: Official fold; 0 if the data set has none.
        origin: Id of the recording it was cut from or, for an augmented copy, made from; clips of
            one origin are never independent. In ESC-50 and in UrbanSound8K it is the number of the
            recording on Freesound.
        start_seconds: Start of the clip in the file.
        end_seconds: End of the clip in the file; ``None`` for the end of the file.
        also: Other labels of the data set that are heard in it too.
    """

    path: Path
    label: str
    target: int
    fold: int
    origin: str
    start_seconds: float = 0.0
    end_seconds: float | None = None
    also: tuple[str, ...] = ()

    @property
    def audio(self) -> Path | Piece:
        """The file, or the piece of it that the clip is."""
        piece = Piece(self.path, self.start_seconds, self.end_seconds)
        return self.path if piece == Piece(self.path) else piece


def checked_clips(what: str, clips: Iterable[Clip]) -> tuple[Clip, ...]:
    """The clips, if that is what they are.

    Args:
        what: Beginning of the message, such as ``"evaluate takes clips"``.
        clips: Value to check.

    Raises:
        ConfigError: it is something else, such as paths.
    """
    given = tuple(clips) if isinstance(clips, Iterable) else (clips,)
    if others := [type(clip).__name__ for clip in given if not isinstance(clip, Clip)]:
        raise ConfigError(
            f"{what} such as those of soundsep.datasets, got a {type(clips).__name__} with "
            f"{others[0]} in it; write paths and labels of your own into a table with the columns "
            "path and label, which AudioTable reads"
        )
    return given


def checked_targets(owner: str, examples: Sequence[tuple[Tensor, int]]) -> list[int]:
    """The classes of examples, if these are pairs of a waveform and the index of its class.

    Each is taken once, since a sequence may load them as they are asked for.

    Args:
        owner: Name of the class that takes them.
        examples: Value to check; waveforms (time,).

    Raises:
        ConfigError: it is something else, such as clips.
        ShapeError: a waveform is no floating-point tensor.
    """
    targets = []
    for example in examples:
        is_pair = isinstance(example, Sequence) and not isinstance(example, str)
        if not is_pair or len(example) != 2:
            raise ConfigError(
                f"{owner} takes pairs of a waveform (time,) and the index of its class, such as "
                f"load_examples makes of clips, got a {type(examples).__name__} with "
                f"{type(example).__name__} in it"
            )
        check_tensor(owner, example[0], "(time,)")
        targets.append(example[1])
    return targets


class FoldedClips(Sequence[Clip], Dataset[Clip]):
    """Clips with the folds of a protocol.

    Attributes:
        name: Name of the data set.
        labels: Names of the classes, in the order of the targets.
        fold_numbers: All folds of the protocol.
        clips: The clips kept.
        notes: Likely mistakes in the data that do not prevent its use.
    """

    name: str
    labels: tuple[str, ...]
    fold_numbers: tuple[int, ...]
    clips: tuple[Clip, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Clip, ...]: ...

    def __getitem__(self, index: int | slice) -> Clip | tuple[Clip, ...]:
        """A clip, or the clips of a slice."""
        return self.clips[index]

    def __add__(self, other: object) -> NoReturn:
        """Refused: a `Dataset` would join the clips, and mix up the targets of two label sets."""
        raise ConfigError(f"{type(self).__name__} cannot be added: Concatenation joins data sets")

    def __repr__(self) -> str:
        """Its name and size."""
        folds = ", ".join(map(str, sorted({clip.fold for clip in self.clips} - {0})))
        where = f" in folds {folds}" if folds else ""
        labels = f"{len(self.labels)} labels"
        return f"{type(self).__name__}({self.name}: {len(self)} clips of {labels}{where})"

    def recording(self, clip: Clip) -> tuple[str, ...]:
        """What must not be on both sides of a split."""
        return (clip.origin,)

    def split(self, test_fold: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """Training clips, and the clips of ``test_fold``.

        Raises:
            ConfigError: one of the two would be empty.
            DatasetError: an origin would be on both sides.
        """
        training, test = self._hold_out(test_fold)
        heard = {self.recording(clip) for clip in training}
        shared = {clip.origin: clip.label for clip in test if self.recording(clip) in heard}
        if shared:
            origin, label = min(shared.items())
            raise DatasetError(
                f"{len(shared)} recordings are in fold {test_fold} and in others, for example "
                f"{origin} ({label}); all clips of a recording, and all copies of them, belong "
                f"in one fold: repair the table of {self.name}"
            )
        return training, test

    def _hold_out(self, test_fold: int) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        training = tuple(clip for clip in self.clips if clip.fold != test_fold)
        test = tuple(clip for clip in self.clips if clip.fold == test_fold)
        if not test_fold or not training or not test:
            hint = "" if self.fold_numbers else f"; {self.name} has no folds: see Concatenation"
            raise ConfigError(f"holding fold {test_fold} out leaves one side empty{hint}")
        return training, test
