"""Long recordings and live ones: what `soundsep.Pipeline` does beyond single clips."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from dataclasses import replace

from soundsep.audio import AudioInput, audio_blocks
from soundsep.classifier import Classifier
from soundsep.errors import AudioError
from soundsep.pipeline.event_tracker import EventRules
from soundsep.pipeline.results import Event, Scores
from soundsep.pipeline.stream import Stream
from soundsep.progress import progress_bar

__all__ = ["Listener", "source_name"]


class Listener:
    """Follows a classifier's scores over time; the base of `soundsep.Pipeline`."""

    classifier: Classifier
    silence_db: float | None  # level below which nothing is to be heard

    def events(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None = None,
        threshold: float = 0.5,
        hop_seconds: float | None = None,
        min_duration_seconds: float = 0.0,
        merge_gap_seconds: float = 1.0,
        batch_size: int = 16,
        progress: bool = True,
    ) -> Iterator[Event]:
        """Find events in a recording of any length, in constant memory.

        A label's event begins with the first window whose score reaches ``threshold`` and ends
        with the last one; in between, the score may fall to half of it. The sound is taken to
        fill a quarter of these two windows. An event of more than an hour is cut there.

        Args:
            audio: Whatever `soundsep.load_audio` takes, of any length.
            sample_rate: Rate of an array, in Hz; by default the pipeline's own.
            threshold: Score that begins an event, above 0 and at most 1.
            hop_seconds: Step between windows, at most a window's length; the model's own by
                default. Smaller steps give finer times and take longer.
            min_duration_seconds: Shorter events are dropped.
            merge_gap_seconds: Events of one label with at most this much between them are one.
            batch_size: Windows a forward pass.
            progress: Show a progress bar, where there is a terminal.

        Yields:
            Events by their start, each as soon as no earlier one can come.

        Raises:
            AudioError: the recording cannot be read, which shows where it is damaged and after the
                events before that, or is shorter than one analysis frame.
            ConfigError: an option is out of range.
        """
        stream = Stream(
            self.classifier,
            EventRules(
                threshold=threshold,
                min_duration_seconds=min_duration_seconds,
                merge_gap_seconds=merge_gap_seconds,
            ),
            sample_rate=self.classifier.sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            wait=True,
        )
        return _events(stream, audio, sample_rate=sample_rate, progress=progress)

    def scores(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None = None,
        hop_seconds: float | None = None,
        batch_size: int = 16,
        progress: bool = True,
    ) -> Scores:
        """The scores of every window of a recording of any length.

        The arguments are those of `events`. A window of digital silence has the score 0 for every
        label.

        Raises:
            AudioError: as `events`.
            ConfigError: an option is out of range.
        """
        stream = Stream(
            self.classifier,
            EventRules(),
            sample_rate=self.classifier.sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            keep_scores=True,
            wait=True,
        )
        for _ in _events(stream, audio, sample_rate=sample_rate, progress=progress):
            pass
        return replace(stream.scores(), source=source_name(audio))

    def stream(
        self,
        *,
        sample_rate: int | None = None,
        threshold: float = 0.5,
        hop_seconds: float | None = None,
        min_duration_seconds: float = 0.0,
        merge_gap_seconds: float = 1.0,
        batch_size: int = 16,
        keep_scores: bool = False,
    ) -> Stream:
        """Hear sound that comes in blocks, such as a live one.

        The arguments are those of `events`; ``sample_rate`` is that of the blocks, and a window is
        heard once it is complete, in batches of at most ``batch_size``. With ``keep_scores=True``
        the scores of all windows are kept, for `Stream.scores`.

        Raises:
            AudioError: the rate is out of range.
            ConfigError: another option is.

        Examples:
            >>> import torch
            >>> from soundsep import Classifier, ClassifierConfig, Pipeline
            >>> pipe = Pipeline(Classifier(ClassifierConfig(labels=("dog",), network="resnet18")))
            >>> stream = pipe.stream(sample_rate=8_000, threshold=1.0)
            >>> events = [event for _ in range(20) for event in stream.push(torch.zeros(4_000))]
            >>> events + stream.flush()
            []
        """
        rules = EventRules(
            threshold=threshold,
            min_duration_seconds=min_duration_seconds,
            merge_gap_seconds=merge_gap_seconds,
        )
        return Stream(
            self.classifier,
            rules,
            sample_rate=self.classifier.sample_rate if sample_rate is None else sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            keep_scores=keep_scores,
        )


def source_name(audio: object) -> str | None:
    """Path or name of a recording, where it has one."""
    if isinstance(audio, (str, os.PathLike)):
        return os.fspath(audio) if isinstance(audio, str) else str(audio)
    name = getattr(audio, "name", None)
    return name if isinstance(name, str) else None


def _events(
    stream: Stream, audio: AudioInput, *, sample_rate: int | None, progress: bool
) -> Iterator[Event]:
    """Events of a whole recording, ordered by their start, as they become certain.

    Args:
        stream: At the classifier's rate.
        audio: A recording of any length.
        sample_rate: Rate of an array, in Hz; that of the stream by default.
        progress: Show a progress bar, where there is a terminal.

    Raises:
        AudioError: the recording cannot be read, or is shorter than one analysis frame.
    """
    waiting: list[tuple[float, int, Event]] = []  # until no earlier event can come
    n_events = 0

    def released(events: list[Event], until: float) -> Iterator[Event]:
        nonlocal n_events
        for event in events:
            n_events += 1
            heapq.heappush(waiting, (event.start_seconds, n_events, event))
        while waiting and waiting[0][0] <= until:
            yield heapq.heappop(waiting)[2]

    with (
        audio_blocks(audio, sample_rate=sample_rate, target_rate=stream.sample_rate) as blocks,
        progress_bar(
            total=blocks.duration_seconds and round(blocks.duration_seconds),
            unit="s",
            desc="listening",
            progress=progress,
        ) as bar,
    ):
        try:
            for block in blocks:
                yield from released(stream.push(block), stream.certain_until_seconds)
                bar.update(int(stream.duration_seconds) - bar.n)
        except AudioError:
            yield from released(stream.flush(), float("inf"))  # what was heard before the damage
            raise
        shortest = stream.shortest_seconds
        if stream.duration_seconds < shortest:
            raise AudioError(
                f"the recording is too short to analyse: {stream.duration_seconds:.4f} s, at least "
                f"{shortest:.3f} s are needed"
            )
        yield from released(stream.flush(), float("inf"))
