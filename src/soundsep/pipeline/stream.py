"""Sound that arrives in blocks: windows, their scores, and the events in them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio import Mixer, StreamingResampler
from soundsep.audio.arrays import from_block, is_array
from soundsep.audio.checks import Samples, check_format
from soundsep.audio.mixdown import check_channel
from soundsep.classifier import ClassifierLike
from soundsep.classifier.block_scorer import Rows
from soundsep.classifier.scorers import build_scorer
from soundsep.config import check_number
from soundsep.errors import AudioError, ConfigError
from soundsep.pipeline.event_tracker import EventRules, EventTracker
from soundsep.pipeline.median import MedianFilter
from soundsep.pipeline.timeline import Event, Scores

__all__ = ["Stream"]

# Share of a window that a sound is assumed to fill when its score reaches the threshold. Models
# that notice a fraction of a sound and models that need half a window of it are then both off by a
# quarter of a window.
NOTICED = 0.25


class _Kept(NamedTuple):
    """Rows and their times in seconds: their starts, and the spans their scores apply to."""

    starts: Tensor  # (n_rows,)
    spans: Tensor  # (n_rows, 2)
    scores: Tensor  # (n_rows, n_labels)


class Stream:
    """Finds events in sound that arrives in blocks; made by `soundsep.Pipeline.stream`.

    Scores and events do not depend on how the sound is cut into blocks. All times count from the
    first sample. Memory does not grow, unless the scores are kept.

    Args:
        classifier: The model.
        rules: Thresholds and durations of events.
        sample_rate: Rate of the blocks, in Hz.
        hop_seconds: Step between windows, as for `soundsep.classifier.scorers.build_scorer`.
        batch_size: Most windows per forward pass.
        keep_scores: Keep the scores of all windows, for `scores`.
        wait: Classify windows only in full batches, for recordings that are not live.
        silence_db: Level in dBFS below which windows count as silence.
        channel: Use this channel of the blocks only, counted from 0.
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
        self._mixer: Mixer | None = None  # until the first block tells the number of channels
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
        self._n_samples = 0  # received or skipped, at the rate of the blocks
        self._begin()

    def _begin(self) -> None:
        """Begin a new recording, whose times still count from the start of the stream."""
        self._offset_seconds = self._reached_seconds = self.duration_seconds
        frame = self._frame_seconds
        self._median = None
        if frame is not None:
            medians = self._classifier.config.label_medians  # seconds
            self._median = MedianFilter([2 * round((s / frame - 1) / 2) + 1 for s in medians])
        # The score of a frame applies to all of it, that of a window to a part of it.
        self._tracker = EventTracker(
            self._classifier.labels,
            self._rules,
            sample_rate=self._classifier.sample_rate,
            hop=self._scorer.hop,
            trim=round((0.5 - NOTICED) * self._scorer.window) if frame is None else 0,
            offset_seconds=Fraction(self._n_samples, self._rate),
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
        """Length so far, including what was skipped."""
        return self._n_samples / self._rate

    def __repr__(self) -> str:
        """Its rate, and how far it is."""
        return f"Stream({self.sample_rate} Hz, {self.duration_seconds:.1f} s so far)"

    @property
    def is_silent(self) -> bool:
        """Whether all so far is digital silence, and no window holds more."""
        return self._scorer.is_silent

    @property
    def min_seconds(self) -> float:
        """Length of one analysis frame; anything shorter is not classified."""
        return self._classifier.config.min_samples / self._classifier.sample_rate

    @property
    def certain_until_seconds(self) -> float:
        """All events still to come start at or after this."""
        return self._tracker.certain_until_seconds

    def unfinished(self) -> list[Event]:
        """The events so far that are not certain yet, ordered by start.

        A sound that goes on is among them a few seconds after it began; `push` returns it when it
        is over. Until then its end moves, its score may rise, and it may be merged with another of
        its label. If the model has frames, its start stays.
        """
        return self._tracker.unfinished()

    def push(self, block: NDArray[Any] | Tensor) -> list[Event]:
        """Process a block of any length.

        Args:
            block: (time,) or (channels, time), of the types that `soundsep.load_audio` takes.

        Returns:
            The events that became certain, ordered by start. A long event is returned when it is
            over, after others that began later.

        Raises:
            AudioError: the block holds NaN or Inf or a peak above 100, has another type or shape,
                or another number of channels than the blocks before.
        """
        if not is_array(block):
            hint = ""
            if isinstance(block, (bytes, bytearray, memoryview)):
                hint = "; samples of 16 bits are numpy.frombuffer(block, numpy.int16)"
            raise AudioError(f"expected an array or a tensor, got {type(block).__name__}{hint}")
        samples = from_block(block)
        n_channels, n_samples = samples.shape
        if not n_samples:
            return []
        check_format("the block", n_channels, self._rate)
        mixed = self._mixer_of(n_channels).push(samples)
        self._n_samples += n_samples
        return self._hear(mixed)

    def push_mono(self, waveform: Tensor) -> list[Event]:
        """Process a block read by `soundsep.audio.audio_blocks`, (time,), at the stream's rate."""
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
                "flush the stream before a recording with other channels"
            )
        return self._mixer

    def _hear(self, samples: Samples) -> list[Event]:
        waveform = self._resampler.push(torch.from_numpy(samples[0]))
        return self._follow(self._scorer.push(waveform))

    def flush(self) -> list[Event]:
        """End the recording.

        The last window ends with the recording or, if the model has frames, less than a frame
        later. A recording shorter than a window is padded; one shorter than an analysis frame is
        not classified. The next block begins a new recording, with times still counted from the
        first sample of the stream.

        Returns:
            The events that were not certain before, ordered by start.
        """
        events = [] if self._mixer is None else self._hear(self._mixer.flush())
        self._mixer = None
        events += self._follow(self._scorer.push(self._resampler.flush()))
        n_samples = self._scorer.n_samples
        events += self._follow(self._scorer.flush())
        if self._median is not None:
            rows = self._median.flush()
            events += self._tracker.push(rows.scores, rows.ends)
        events += self._tracker.flush(n_samples)
        end = self.duration_seconds  # the classifier's last sample may reach beyond it
        if self._kept and self._reached_seconds > self._offset_seconds:
            self._kept[-1].spans[-1, 1] = end
        self._begin()
        cut = (replace(event, end_seconds=min(event.end_seconds, end)) for event in events)
        return sorted(cut, key=_by_start)

    def skip(self, n_samples: int) -> list[Event]:
        """Leave out samples that were lost, so that times stay right; no window spans the gap.

        Args:
            n_samples: Number of samples lost in each channel, at the rate of the blocks.

        Returns:
            The events before the gap that were not certain before.

        Raises:
            ConfigError: ``n_samples`` is not a non-negative integer.
        """
        if check_number("n_samples", n_samples) != int(n_samples) or n_samples < 0:
            raise ConfigError(f"n_samples must be a non-negative integer, got {n_samples}")
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
        times = torch.empty(0, 2, dtype=torch.float64, device="cpu")
        nothing = _Kept(
            times[:, 0], times, torch.empty(0, len(labels), dtype=torch.float32, device="cpu")
        )
        starts, spans, values = map(torch.cat, zip(*(kept or [nothing]), strict=True))
        return Scores(
            values=values,
            start_seconds=starts,
            labels=labels,
            window_seconds=self._scorer.window / rate if frame is None else frame,
            hop_seconds=self._scorer.hop / rate if frame is None else frame,
            duration_seconds=self.duration_seconds,
            unknown_below=self._unknown_below,
            spans_seconds=spans,
            rows="windows" if frame is None else "frames",
        )

    def _follow(self, rows: Rows) -> list[Event]:
        if self._kept is not None and len(rows):
            rate = self._classifier.sample_rate
            starts, ends = (
                self._offset_seconds + at.double() / rate for at in (rows.starts, rows.ends)
            )
            begins = torch.cat((ends.new_tensor([self._reached_seconds]), ends[:-1]))
            self._kept.append(_Kept(starts, torch.stack((begins, ends), dim=1), rows.scores))
            self._reached_seconds = float(ends[-1])
        if self._median is not None:
            rows = self._median.push(rows)
        return self._tracker.push(rows.scores, rows.ends)


def _by_start(event: Event) -> float:
    return event.start_seconds
