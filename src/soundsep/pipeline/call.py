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
    """Whose windows these are.

    Attributes:
        number: Of the recording in the call.
        result: All about it but its labels; or why the call ends here.
        heard_in: The recording itself or which source; ``None`` where nothing is to be heard.
    """

    number: int
    result: ClipResult | AudioError
    heard_in: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A pipeline's models and the options of one call, checked.

    Attributes:
        classifier: Names the sounds.
        separator: Takes recordings apart, where there is one.
        unknown: Name no sound that the classifier is not sure of.
        silence_db: Level below which nothing is to be heard.
        rate_of: The rate of a recording, in Hz; ``None`` of a file, which carries its own.
        channel: The only channel that is heard.
        top_k: Labels kept of each.
        batch_size: Most windows per forward pass.
        n_shifts: Shifts of every window that are averaged.
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
        """The results of recordings that are read, and answered, ``batch_size`` at a time."""
        for first in items:
            yield from self.results(chain([first], islice(items, self.batch_size - 1)))

    def results(self, items: Iterable[Any]) -> Iterator[ClipResult]:
        """The results of recordings, once all of them were read, and the first failure."""
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
        """The windows of each recording, of all that is heard of it."""
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
