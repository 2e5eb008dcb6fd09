"""Long recordings and live ones: what `soundsep.Pipeline` does beyond single clips."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from soundsep.audio import AudioInput, is_array
from soundsep.audio.arrays import warn_of_rate
from soundsep.audio.inputs import path_of
from soundsep.audio.mixdown import check_channel
from soundsep.classifier import ClassifierLike
from soundsep.config import check_number
from soundsep.errors import ConfigError
from soundsep.names import unknown_labels
from soundsep.pipeline.event_tracker import EventRules
from soundsep.pipeline.events import Events, find_events
from soundsep.pipeline.stream import Stream
from soundsep.pipeline.timeline import Scores

__all__ = ["Listener"]


class Listener:
    """Follows a classifier's scores over time; the base of `soundsep.Pipeline`."""

    classifier: ClassifierLike
    unknown: bool  # leave sounds unnamed if the model is not sure
    silence_db: float | None  # dBFS; level below which sound counts as silence
    _has_warned = False  # about an array without a rate

    def events(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None = None,
        threshold: float | Mapping[str, float] | None = None,
        hop_seconds: float | None = None,
        min_duration_seconds: float = 0.0,
        merge_gap_seconds: float = 1.0,
        labels: Collection[str] | None = None,
        min_score: float = 0.0,
        batch_size: int = 16,
        progress: bool = True,
        channel: int | None = None,
    ) -> Events:
        """Find events in a recording of any length, in constant memory.

        A label's event begins with the first window whose score reaches ``threshold`` and ends
        with the last one; in between, the score may fall to half of it. The sound is assumed to
        fill a quarter of these two windows. If the model has frames (`Classifier.frame_seconds`),
        they replace windows, after a median filter (``ClassifierConfig.median_seconds``), and the
        sound fills the first and the last frame. An event of more than an hour is cut there. With
        ``unknown=True``, events with a score below the classifier's ``unknown_below`` are dropped.

        Args:
            audio: Anything `soundsep.load_audio` takes, of any length.
            sample_rate: Rate of an array, in Hz; by default the pipeline's own.
            threshold: Score at which an event begins, above 0 and at most 1; one for all labels,
                or a dictionary from labels to scores. By default each label's in the model's
                config, else 0.5.
            hop_seconds: Step between windows, at most a window's length; the model's own by
                default. Smaller steps give finer times and take longer. If the model has frames,
                the times are theirs; each frame is a mean over the windows that hold it, which
                begin every half window by default. Steps are rounded down to frames.
            min_duration_seconds: Drop shorter events.
            merge_gap_seconds: Merge events of one label that are at most this far apart.
            labels: Find events of these labels only; all by default.
            min_score: Drop events whose score, the highest of their windows, is lower.
            batch_size: Windows per forward pass.
            progress: Show a progress bar, if there is a terminal.
            channel: Use this channel only, counted from 0; by default all are mixed.

        Returns:
            An iterator over the events by start, which yields each as soon as no earlier one can
            follow. `AudioError` is raised by the iterator.

        Raises:
            AudioError: the recording cannot be read, is damaged (raised at the damage, after the
                events before it were yielded), is shorter than one analysis frame, or is digital
                silence throughout (unless the pipeline has ``silence_db``).
            ConfigError: an option is out of range, or a label is unknown.

        Warns:
            SoundsepWarning: an array was given without ``sample_rate``; once per pipeline.
        """
        sample_rate, channel = self._rate_of(audio, sample_rate), check_channel(channel)
        stream = Stream(
            self._model,
            self._rules(threshold, min_duration_seconds, merge_gap_seconds, labels, min_score),
            sample_rate=self.classifier.sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            wait=True,
        )
        events = find_events(
            stream,
            audio,
            sample_rate=sample_rate,
            progress=progress,
            channel=channel,
            may_be_silent=self.silence_db is not None,
        )
        return Events(events, path_of(audio))

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
            AudioError: the recording cannot be read, is too short, or is digital silence.
            ConfigError: an option is out of range.
        """
        sample_rate, channel = self._rate_of(audio, sample_rate), check_channel(channel)
        stream = Stream(
            self._model,
            self._rules(None, 0.0, 0.0),
            sample_rate=self.classifier.sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            keep_scores=True,
            wait=True,
            unknown_below=self._unknown_below,
        )
        for _ in find_events(
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
        threshold: float | Mapping[str, float] | None = None,
        hop_seconds: float | None = None,
        min_duration_seconds: float = 0.0,
        merge_gap_seconds: float = 1.0,
        labels: Collection[str] | None = None,
        min_score: float = 0.0,
        batch_size: int = 16,
        keep_scores: bool = False,
        channel: int | None = None,
    ) -> Stream:
        """Find events in sound that arrives in blocks, such as live sound.

        The arguments are those of `events`; ``sample_rate`` is that of the blocks, and windows are
        classified once complete, at most ``batch_size`` at a time. With ``keep_scores=True`` the
        scores of all windows are kept, for `Stream.scores`.

        Raises:
            AudioError: the rate is out of range.
            ConfigError: another option is out of range.

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
            self._model,
            self._rules(threshold, min_duration_seconds, merge_gap_seconds, labels, min_score),
            sample_rate=self.classifier.sample_rate if sample_rate is None else sample_rate,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            silence_db=self.silence_db,
            keep_scores=keep_scores,
            channel=channel,
            unknown_below=self._unknown_below,
        )

    @property
    def _model(self) -> ClassifierLike:
        """The classifier in the form in which it is run."""
        return self.classifier

    @property
    def _unknown_below(self) -> float | None:
        return self.classifier.config.unknown_below if self.unknown else None

    def _rules(
        self,
        threshold: float | Mapping[str, float] | None,
        min_duration_seconds: float,
        merge_gap_seconds: float,
        labels: Collection[str] | None = None,
        min_score: float = 0.0,
    ) -> EventRules:
        check_number("min_score", min_score, least=0, most=1)
        if isinstance(labels, str):
            raise ConfigError(f"labels must be a list or a set of names, got {labels!r}")
        rule: float | tuple[float, ...]
        if threshold is None or isinstance(threshold, Mapping):
            own = threshold or {}
            self._check_labels(own)
            known, config = self.classifier.labels, self.classifier.config
            pairs = zip(known, config.label_thresholds, strict=True)
            rule = tuple(own.get(label, default) for label, default in pairs)
        else:
            rule = check_number("threshold", threshold, above=0, most=1)
        if labels is not None:
            self._check_labels(labels)
        return EventRules(
            threshold=rule,
            min_duration_seconds=min_duration_seconds,
            merge_gap_seconds=merge_gap_seconds,
            min_score=max(min_score, self._unknown_below or 0.0),
            labels=None if labels is None else frozenset(labels),
        )

    def _check_labels(self, labels: Collection[str]) -> None:
        known = self.classifier.labels
        if unknown := [label for label in labels if label not in known]:
            raise ConfigError(unknown_labels(unknown, known))

    def _rate_of(self, audio: AudioInput, sample_rate: int | None) -> int | None:
        """The rate given; for an array without one the model's own, with one warning."""
        if sample_rate is not None:
            check_number("sample_rate", sample_rate)
        elif is_array(audio):
            sample_rate = self.classifier.sample_rate
            if not self._has_warned:
                self._has_warned = True
                warn_of_rate(sample_rate)
        return sample_rate
