"""Long recordings and live ones: what `soundsep.Pipeline` does beyond single clips."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace

from soundsep.audio import AudioInput, audio_blocks, is_array
from soundsep.audio.arrays import warn_of_rate
from soundsep.audio.inputs import name_of, path_of
from soundsep.audio.mixdown import check_channel
from soundsep.classifier import Classifier
from soundsep.config import check_number
from soundsep.errors import AudioError
from soundsep.pipeline.event_tracker import EventRules
from soundsep.pipeline.results import Event, Scores
from soundsep.pipeline.stream import Stream
from soundsep.progress import progress_bar

__all__ = ["Listener", "silence_error"]


class Listener:
    """Follows a classifier's scores over time; the base of `soundsep.Pipeline`."""

    classifier: Classifier
    unknown: bool  # whether to name no sound that the model is not sure of
    silence_db: float | None  # level below which nothing is to be heard
    _has_warned = False  # of an array without a rate

    def events(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None = None,
        threshold: float | None = None,
        hop_seconds: float | None = None,
        min_duration_seconds: float = 0.0,
        merge_gap_seconds: float = 1.0,
        batch_size: int = 16,
        progress: bool = True,
        channel: int | None = None,
    ) -> Iterator[Event]:
        """Find events in a recording of any length, in constant memory.

        A label's event begins with the first window whose score reaches ``threshold`` and ends
        with the last one; in between, the score may fall to half of it. The sound is taken to
        fill a quarter of these two windows. Where the model has frames
        (`Classifier.frame_seconds`), these take the place of windows, after a median filter
        (``ClassifierConfig.median_seconds``), and the sound fills the first and the last one. An
        event of more than an hour is cut there. With ``unknown=True`` an event is dropped whose
        score is below ``unknown_below`` of the classifier's config.

        Args:
            audio: Whatever `soundsep.load_audio` takes, of any length.
            sample_rate: Rate of an array, in Hz; by default the pipeline's own.
            threshold: Score that begins an event, above 0 and at most 1; by default that of each
                label in the model's config, or 0.5.
            hop_seconds: Step between windows, at most a window's length; the model's own by
                default. Smaller steps give finer times and take longer. Where the model has
                frames, the times are theirs; each frame is taken from the window in whose middle
                it lies, and a smaller step, rounded down to frames, gives it more context.
            min_duration_seconds: Shorter events are dropped.
            merge_gap_seconds: Events of one label with at most this much between them are one.
            batch_size: Windows a forward pass.
            progress: Show a progress bar, where there is a terminal.
            channel: Number of the only channel that is heard, from 0; by default all are mixed.

        Yields:
            Events by their start, each as soon as no earlier one can come.

        Raises:
            AudioError: the recording cannot be read, which shows where it is damaged and after the
                events before that, is shorter than one analysis frame, or is digital silence from
                beginning to end (unless the pipeline has ``silence_db``).
            ConfigError: an option is out of range.

        Warns:
            SoundsepWarning: an array came without ``sample_rate``; once per pipeline.
        """
        sample_rate, channel = self._rate_of(audio, sample_rate), check_channel(channel)
        stream = Stream(
            self.classifier,
            self._rules(threshold, min_duration_seconds, merge_gap_seconds),
            sample_rate=self.classifier.sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            wait=True,
        )
        return _events(
            stream,
            audio,
            sample_rate=sample_rate,
            progress=progress,
            channel=channel,
            may_be_silent=self.silence_db is not None,
        )

    def scores(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None = None,
        hop_seconds: float | None = None,
        batch_size: int = 16,
        progress: bool = True,
        channel: int | None = None,
    ) -> Scores:
        """The scores of every window or frame of a recording of any length.

        The arguments are those of `events`. A window of digital silence has the score 0 for every
        label. The scores of frames are those before the median filter.

        Raises:
            AudioError: as `events`.
            ConfigError: an option is out of range.
        """
        sample_rate, channel = self._rate_of(audio, sample_rate), check_channel(channel)
        stream = Stream(
            self.classifier,
            self._rules(None, 0.0, 0.0),
            sample_rate=self.classifier.sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            keep_scores=True,
            wait=True,
        )
        for _ in _events(
            stream,
            audio,
            sample_rate=sample_rate,
            progress=progress,
            channel=channel,
            may_be_silent=self.silence_db is not None,
        ):
            pass
        return replace(stream.scores(), path=path_of(audio))

    def stream(
        self,
        *,
        sample_rate: int | None = None,
        threshold: float | None = None,
        hop_seconds: float | None = None,
        min_duration_seconds: float = 0.0,
        merge_gap_seconds: float = 1.0,
        batch_size: int = 16,
        keep_scores: bool = False,
        channel: int | None = None,
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
        return Stream(
            self.classifier,
            self._rules(threshold, min_duration_seconds, merge_gap_seconds),
            sample_rate=self.classifier.sample_rate if sample_rate is None else sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            keep_scores=keep_scores,
            channel=channel,
        )

    def _rules(
        self, threshold: float | None, min_duration_seconds: float, merge_gap_seconds: float
    ) -> EventRules:
        config = self.classifier.config
        return EventRules(
            threshold=config.label_thresholds if threshold is None else threshold,
            min_duration_seconds=min_duration_seconds,
            merge_gap_seconds=merge_gap_seconds,
            least_score=(config.unknown_below or 0.0) if self.unknown else 0.0,
        )

    def _rate_of(self, audio: AudioInput, sample_rate: int | None) -> int | None:
        """The rate that was given; for an array without one the model's own, said once."""
        if sample_rate is not None:
            check_number("sample_rate", sample_rate)
        elif is_array(audio):
            sample_rate = self.classifier.sample_rate
            if not self._has_warned:
                self._has_warned = True
                warn_of_rate(sample_rate)
        return sample_rate


def silence_error(audio: object) -> AudioError:
    """What a recording is answered in which there is nothing at all."""
    return AudioError(
        f"{name_of(audio)} is digital silence, in which there is nothing to name; check the "
        "recorder, its input and its level"
    )


def _events(
    stream: Stream,
    audio: AudioInput,
    *,
    sample_rate: int | None,
    progress: bool,
    channel: int | None,
    may_be_silent: bool,
) -> Iterator[Event]:
    """Events of a whole recording, ordered by their start, as they become certain.

    Args:
        stream: At the classifier's rate.
        audio: A recording of any length.
        sample_rate: Rate of an array, in Hz; that of the stream by default.
        progress: Show a progress bar, where there is a terminal.
        channel: The only one that is heard.
        may_be_silent: Digital silence is no error.

    Raises:
        AudioError: the recording cannot be read, is shorter than one analysis frame, or silent.
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
        audio_blocks(
            audio, sample_rate=sample_rate, target_rate=stream.sample_rate, channel=channel
        ) as blocks,
        progress_bar(
            total=blocks.duration_seconds and round(blocks.duration_seconds),
            unit="s",
            desc="listening",
            progress=progress,
        ) as bar,
    ):
        try:
            for block in blocks:
                yield from released(stream.push_mono(block), stream.certain_until_seconds)
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
        last = stream.flush()
        if stream.is_silent and not may_be_silent:
            raise silence_error(audio)
        yield from released(last, float("inf"))
