"""Sound that comes in blocks: windows, their scores, and the events in them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio import Mixer, StreamingResampler
from soundsep.audio.arrays import from_array, is_array
from soundsep.audio.checks import Samples, check_format
from soundsep.audio.mixdown import check_channel
from soundsep.classifier import ClassifierLike
from soundsep.classifier.block_scorer import Row
from soundsep.classifier.scorers import build_scorer
from soundsep.classifier.scoring import SILENCE
from soundsep.config import check_number
from soundsep.errors import AudioError, ConfigError
from soundsep.pipeline.event_tracker import EventRules, EventTracker
from soundsep.pipeline.median import MedianFilter
from soundsep.pipeline.results import Event, Scores

__all__ = ["Stream"]

# Share of a window that a sound is taken to fill when its score reaches the threshold. Models that
# notice a bit of a sound and models that need half a window of it are then both off by a quarter
# of a window.
NOTICED = 0.25


class _Kept(NamedTuple):
    """A row and its times in seconds: where what was heard starts, and what it speaks for."""

    start: float
    begin: float
    end: float
    scores: Tensor


class Stream:
    """Finds events in sound that comes in blocks; made by `soundsep.Pipeline.stream`.

    However the sound is cut into blocks, scores and events are those of the whole. All times count
    from the first sample. Memory does not grow, unless the scores are kept.

    Args:
        classifier: The model.
        rules: What counts as an event.
        sample_rate: Rate of the blocks, in Hz.
        hop_seconds: Step between windows, as `soundsep.classifier.scorers.build_scorer` takes it.
        batch_size: Most windows of a forward pass.
        keep_scores: Keep the scores of all windows, for `scores`.
        wait: Wait for a full batch before windows are heard, where nobody waits for events.
        silence_db: Windows of a lower level, in dBFS, hold nothing to name.
        channel: Number of the only channel of the blocks that is heard, from 0.
        unknown_below: Score below which no sound is named, for `scores`.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        rules: EventRules,
        *,
        sample_rate: int,
        hop_seconds: float | None = None,
        batch_size: int = 16,
        keep_scores: bool = False,
        wait: bool = False,
        silence_db: float | None = None,
        channel: int | None = None,
        unknown_below: float | None = None,
    ) -> None:
        self._channel = check_channel(channel)
        self._unknown_below = unknown_below
        self._mixer: Mixer | None = None  # until the first block tells how many channels there are
        self._rate = check_format("the stream", 1, sample_rate)
        self._classifier, self._rules = classifier, rules
        self._resampler = StreamingResampler(self._rate, classifier.sample_rate)
        self._scorer = build_scorer(
            classifier,
            hop_seconds=hop_seconds,
            batch_size=batch_size,
            wait=wait,
            silence_db=silence_db,
        )
        self._kept: list[_Kept] | None = [] if keep_scores else None
        self._n_samples = 0  # that came or were skipped, at the rate of the blocks
        self._begin()

    def _begin(self) -> None:
        """What follows is a recording of its own, its times still those of the stream."""
        self._offset_seconds = self._reached_seconds = self.duration_seconds
        frame = self._frame_seconds
        self._median = None
        if frame is not None:
            lengths = [
                2 * round((seconds / frame - 1) / 2) + 1 if seconds > frame else 1
                for seconds in self._classifier.config.label_medians
            ]
            self._median = MedianFilter(lengths)
        # The score of a frame is its own; that of a window belongs to a part of it.
        self._tracker = EventTracker(
            self._classifier.labels,
            self._rules,
            sample_rate=self._classifier.sample_rate,
            hop=self._scorer.hop if frame is None else 0,
            trim=round((0.5 - NOTICED) * self._scorer.window) if frame is None else 0,
            offset_seconds=self._offset_seconds,
        )

    @property
    def _frame_seconds(self) -> float | None:
        length = self._classifier.frame_length
        return None if length is None else length / self._classifier.sample_rate

    @property
    def sample_rate(self) -> int:
        """Rate of the blocks, in Hz."""
        return self._rate

    @property
    def duration_seconds(self) -> float:
        """Length of what came so far, with what was skipped."""
        return self._n_samples / self._rate

    @property
    def is_silent(self) -> bool:
        """Whether all that came so far is digital silence."""
        return self._scorer.peak <= SILENCE

    @property
    def min_seconds(self) -> float:
        """Length of one analysis frame; less than that is not heard."""
        return self._classifier.config.min_samples / self._classifier.sample_rate

    @property
    def certain_until_seconds(self) -> float:
        """No event that is still to come starts before this."""
        return self._tracker.certain_until_seconds

    def push(self, block: NDArray[Any] | Tensor) -> list[Event]:
        """Hear a block of any length.

        Args:
            block: (time,) or (channels, time), of the types that `soundsep.load_audio` takes.

        Returns:
            The events that became certain, by their start. An event that goes on is given when it
            is over, after others that began later.

        Raises:
            AudioError: the block holds NaN or Inf or a peak above 100, is not of such a type or
                shape, or has another number of channels than those before.
        """
        if not is_array(block):
            raise AudioError(f"expected an array or a tensor, got {type(block).__name__}")
        if block.ndim not in (1, 2):
            raise AudioError(f"expected a block (time,) or (channels, time), got {block.shape}")
        if not block.shape[-1]:
            return []
        n_channels = block.shape[0] if block.ndim == 2 else 1
        check_format("the block", n_channels, self._rate)
        # Flat, since a block of stereo may well have fewer samples than channels.
        samples = from_array(block.reshape(-1)).reshape(n_channels, -1)
        mixed = self._mixer_of(n_channels).push(samples)
        self._n_samples += samples.shape[1]
        return self._hear(mixed)

    def push_mono(self, waveform: Tensor) -> list[Event]:
        """Hear a block that was read by `soundsep.audio.audio_blocks`, (time,), at the rate."""
        self._n_samples += len(waveform)
        return self._follow(self._scorer.push(self._resampler.push(waveform)))

    def _mixer_of(self, n_channels: int) -> Mixer:
        if self._mixer is None:
            self._n_channels = n_channels
            self._mixer = Mixer(
                "the block", n_channels, self._rate, mono=True, channel=self._channel
            )
        if n_channels != self._n_channels:
            raise AudioError(
                f"the block has {n_channels} channels, those before it had {self._n_channels}; "
                "flush the stream between recordings of another kind"
            )
        return self._mixer

    def _hear(self, samples: Samples) -> list[Event]:
        waveform = self._resampler.push(torch.from_numpy(samples[0]))
        return self._follow(self._scorer.push(waveform))

    def flush(self) -> list[Event]:
        """End the recording.

        The last window ends with it, or where the model has frames less than a frame later; a
        recording shorter than a window is padded, and one shorter than an analysis frame is not
        heard. A block that is pushed later begins anew, its times
        still counted from the first sample of all.

        Returns:
            The events that were not certain yet, by their start.
        """
        events = [] if self._mixer is None else self._hear(self._mixer.flush())
        self._mixer = None
        events += self._follow(self._scorer.push(self._resampler.flush()))
        n_samples = self._scorer.n_samples
        events += self._follow(self._scorer.flush())
        if self._median is not None:
            events += self._track(self._median.flush())
        events += self._tracker.flush(n_samples)
        if self._kept and self._reached_seconds > self._offset_seconds:
            end = self._offset_seconds + n_samples / self._classifier.sample_rate
            self._kept[-1] = self._kept[-1]._replace(end=end)
        self._begin()
        return sorted(events, key=_by_start)

    def skip(self, n_samples: int) -> list[Event]:
        """Leave out samples that were lost, so that times stay right; no window spans the gap.

        Args:
            n_samples: Their number in each channel, at the rate of the blocks.

        Returns:
            The events before the gap that were not certain yet.

        Raises:
            ConfigError: ``n_samples`` is negative or a fraction.
        """
        if check_number("n_samples", n_samples) != int(n_samples) or n_samples < 0:
            raise ConfigError(f"n_samples must be a whole number from 0 on, got {n_samples}")
        events = self.flush()
        self._n_samples += int(n_samples)
        self._begin()
        return events

    def scores(self) -> Scores:
        """The scores of all windows or frames so far; those of the last window come with `flush`.

        Raises:
            ConfigError: the stream was made without ``keep_scores=True``.
        """
        if self._kept is None:
            raise ConfigError("a stream keeps its scores if it is made with keep_scores=True")
        kept, frame = self._kept, self._frame_seconds
        labels, rate = self._classifier.labels, self._classifier.sample_rate
        spans = torch.tensor([(row.begin, row.end) for row in kept], dtype=torch.float64)
        return Scores(
            values=torch.stack([row.scores for row in kept])
            if kept
            else torch.empty(0, len(labels)),
            start_seconds=torch.tensor([row.start for row in kept], dtype=torch.float64),
            labels=labels,
            window_seconds=self._scorer.window / rate if frame is None else frame,
            hop_seconds=self._scorer.hop / rate if frame is None else frame,
            duration_seconds=self.duration_seconds,
            unknown_below=self._unknown_below,
            spans_seconds=spans.reshape(-1, 2),
            rows="windows" if frame is None else "frames",
        )

    def _follow(self, rows: list[Row]) -> list[Event]:
        for row in rows:
            if self._kept is not None:
                rate, begin = self._classifier.sample_rate, self._reached_seconds
                start, end = (self._offset_seconds + at / rate for at in (row.start, row.end))
                self._kept.append(_Kept(start, begin, end, row.scores))
                self._reached_seconds = end
        return self._track(rows if self._median is None else self._median.push(rows))

    def _track(self, rows: list[Row]) -> list[Event]:
        events = [event for row in rows for event in self._tracker.push(row.scores, row.end)]
        return sorted(events, key=_by_start)


def _by_start(event: Event) -> float:
    return event.start_seconds
