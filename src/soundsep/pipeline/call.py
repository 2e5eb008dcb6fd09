"""One call of a pipeline: recordings in, results out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count, groupby, islice
from operator import length_hint
from typing import Any, NamedTuple

from torch import Tensor

from soundsep.audio import load_audio
from soundsep.audio.inputs import path_of
from soundsep.classifier import ClassifierLike
from soundsep.classifier.scoring import score_windows
from soundsep.errors import AudioError
from soundsep.pipeline.ahead import read_ahead
from soundsep.pipeline.hearing import hear
from soundsep.pipeline.naming import name_sounds
from soundsep.pipeline.results import ClipResult
from soundsep.separator import Separator

__all__ = ["Call"]

_Read = tuple[Any, Callable[[], Tensor] | None]  # a recording, and what loads it


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
        reads_ahead: Read files in threads, ahead of the network.
        bar: Shows the progress of what is gone through.
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
    reads_ahead: bool
    bar: Callable[..., Iterable[_Read]]

    def lazily(self, items: Iterable[Any]) -> Generator[ClipResult]:
        """The results of recordings that are answered ``batch_size`` at a time."""
        with closing(self._read(items)) as read:
            shown = iter(self.bar(read))
            for first, number in zip(shown, count(0, self.batch_size), strict=False):
                some = chain([first], islice(shown, self.batch_size - 1))
                yield from self._answer(some, number)

    def results(self, items: Iterable[Any]) -> Iterator[ClipResult]:
        """The results of recordings, once all of them were read, and the first failure."""
        with closing(self._read(items)) as read:
            yield from self._answer(self.bar(read, total=length_hint(items) or None))

    def _read(self, items: Iterable[Any]) -> Generator[_Read]:
        """Each recording, and what loads it, unless the separator is to hear it as it is."""
        if self.separator is not None:
            return ((item, None) for item in items)
        return read_ahead(items, self._load, n_ahead=self.batch_size if self.reads_ahead else 0)

    def _load(self, item: Any) -> Tensor:
        rate, target = self.rate_of(item), self.classifier.sample_rate
        return load_audio(item, sample_rate=rate, target_rate=target, channel=self.channel)[0]

    def _answer(self, recordings: Iterable[_Read], first: int = 0) -> Iterator[ClipResult]:
        windows = self._windows(recordings, first)
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

    def _windows(
        self, recordings: Iterable[_Read], first: int
    ) -> Iterator[tuple[_Key, list[Tensor]]]:
        """The windows of each recording, counted from ``first``, and of its sources."""
        for number, (item, load) in enumerate(recordings, first):
            path = path_of(item)
            try:
                heard = hear(
                    item,
                    self.classifier,
                    separator=self.separator,
                    silence_db=self.silence_db,
                    sample_rate=self.rate_of(item),
                    channel=self.channel,
                    load=load,
                )
            except AudioError as error:
                if self.stops:
                    if path is None and self.reads_ahead:  # of many, that have no names
                        error.args = (f"recording {number}, counted from 0: {error}",)
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
