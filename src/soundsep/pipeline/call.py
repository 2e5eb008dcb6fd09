"""One call of a pipeline: recordings in, results out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

from torch import Tensor

from soundsep.audio.inputs import path_of
from soundsep.classifier import ClassifierLike
from soundsep.classifier.scoring import score_windows
from soundsep.errors import AudioError
from soundsep.pipeline.hearing import hear
from soundsep.pipeline.naming import name_sounds
from soundsep.pipeline.results import ClipResult
from soundsep.separator import Separator

__all__ = ["Call"]


class _Key(NamedTuple):
    """What a group of windows belongs to.

    Attributes:
        number: Index of the recording in the call.
        result: The result without its labels; or why the call ends here.
        heard_in: The recording itself or one of its sources; ``None`` where all is silent.
    """

    number: int
    result: ClipResult | AudioError
    heard_in: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A pipeline's models and the options of one call, checked.

    Attributes:
        classifier: Names the sounds.
        separator: Separates recordings first, if given.
        unknown: Leave sounds unnamed if the classifier is not sure.
        silence_db: Level in dBFS below which sound counts as silence.
        rate_of: The rate of a recording, in Hz; ``None`` for a file, which states its own.
        channel: The only channel used.
        top_k: Labels kept per recording.
        batch_size: Most windows per forward pass.
        n_shifts: Number of shifts of every window to average.
        keeps_sources: Keep the separated audio.
        stops: Stop at the first bad recording.
    """

    classifier: ClassifierLike
    separator: Separator | None
    unknown: bool
    silence_db: float | None
    rate_of: Callable[[Any], int | None]
    channel: int | None
    top_k: int | None
    batch_size: int
    n_shifts: int
    keeps_sources: bool
    stops: bool

    def lazily(self, items: Iterator[Any]) -> Iterator[ClipResult]:
        """The results of recordings that are read and classified ``batch_size`` at a time."""
        for first in items:
            yield from self.results(chain([first], islice(items, self.batch_size - 1)))

    def results(self, items: Iterable[Any]) -> Iterator[ClipResult]:
        """The results of recordings, after all were read, and the first failure."""
        windows = self._windows(items)
        scored = list(
            score_windows(
                self.classifier, windows, batch_size=self.batch_size, n_shifts=self.n_shifts
            )
        )
        for _, rows in groupby(scored, key=lambda row: row[0].number):
            keys, scores = zip(*rows, strict=True)
            result = keys[0].result
            if isinstance(result, AudioError):
                raise result
            if keys[0].heard_in is not None:
                result = name_sounds(
                    result,
                    {key.heard_in: row for key, row in zip(keys, scores, strict=True)},
                    self.classifier,
                    unknown=self.unknown,
                    is_separated=self.separator is not None,
                    top_k=self.top_k,
                )
            yield result

    def _windows(self, items: Iterable[Any]) -> Iterator[tuple[_Key, list[Tensor]]]:
        """The windows of each recording and of its sources."""
        for number, item in enumerate(items):
            path = path_of(item)
            try:
                heard = hear(
                    item,
                    self.classifier,
                    separator=self.separator,
                    silence_db=self.silence_db,
                    sample_rate=self.rate_of(item),
                    channel=self.channel,
                )
            except AudioError as error:
                if self.stops:
                    yield _Key(number, error), []
                    return
                yield _Key(number, ClipResult(path=path, error=str(error))), []
                continue
            result = ClipResult(
                path=path,
                duration_seconds=heard.duration_seconds,
                separation=heard.separation if self.keeps_sources else None,
                is_known=bool(heard.windows),
            )
            if not heard.windows:
                yield _Key(number, result), []
            for name, windows in heard.windows.items():
                yield _Key(number, result, name), windows
