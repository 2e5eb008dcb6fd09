"""Sound that comes in blocks: windows, their scores, and the events in them."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio import Mixer, StreamingResampler
from soundsep.audio.arrays import from_array, is_array
from soundsep.audio.checks import Samples, check_format
from soundsep.audio.mixdown import check_channel
from soundsep.classifier import Classifier
from soundsep.classifier.config import MAX_OVERLAP
from soundsep.classifier.scoring import SILENCE, WindowScorer
from soundsep.config import check_number, check_whole
from soundsep.errors import AudioError, ConfigError
from soundsep.pipeline.event_tracker import EventRules, EventTracker
from soundsep.pipeline.results import Event, Scores

__all__ = ["Stream"]

# Share of a window that a sound is taken to fill when its score reaches the threshold. Models that
# notice a bit of a sound and models that need half a window of it are then both off by a quarter
# of a window.
NOTICED = 0.25


class Stream:
    """Finds events in sound that comes in blocks; made by `soundsep.Pipeline.stream`.

    However the sound is cut into blocks, scores and events are those of the whole. All times count
    from the first sample. Memory does not grow, unless the scores are kept.

    Args:
        classifier: The model, in evaluation mode.
        rules: What counts as an event.
        sample_rate: Rate of the blocks, in Hz.
        hop_seconds: Step between windows; the classifier's own by default.
        batch_size: Most windows of a forward pass.
        keep_scores: Keep the scores of all windows, for `scores`.
        wait: Wait for a full batch before windows are heard, where nobody waits for events.
        silence_db: Windows of a lower level, in dBFS, hold nothing to name.
        channel: Number of the only channel of the blocks that is heard, from 0.

    Raises:
        ConfigError: an option is out of range.
    """

    def __init__(
        self,
        classifier: Classifier,
        rules: EventRules,
        *,
        sample_rate: int,
        hop_seconds: float | None = None,
        batch_size: int = 16,
        keep_scores: bool = False,
        wait: bool = False,
        silence_db: float | None = None,
        channel: int | None = None,
    ) -> None:
        config = classifier.config
        hop_seconds = config.hop_seconds if hop_seconds is None else hop_seconds
        shortest = max(1 / classifier.sample_rate, config.window_seconds / MAX_OVERLAP)
        if not shortest <= check_number("hop_seconds", hop_seconds) <= config.window_seconds:
            raise ConfigError(
                f"hop_seconds must be from {shortest:.3g}, a sample and a thousandth of the "
                f"window, to the window's {config.window_seconds}, got {hop_seconds}"
            )
        batch_size = check_whole("batch_size", batch_size, least=1)
        self._channel = check_channel(channel)
        self._mixer: Mixer | None = None  # until the first block tells how many channels there are
        self._rate = check_format("the stream", 1, sample_rate)
        self._classifier, self._rules = classifier, rules
        self._resampler = StreamingResampler(self._rate, classifier.sample_rate)
        self._scorer = WindowScorer(
            classifier,
            hop=max(1, round(hop_seconds * classifier.sample_rate)),
            batch_size=batch_size,
            wait=wait,
            silence_db=silence_db,
        )
        self._kept: list[tuple[float, Tensor]] | None = [] if keep_scores else None
        self._n_samples = 0  # that came or were skipped, at the rate of the blocks
        self._tracker = self._new_tracker()

    def _new_tracker(self) -> EventTracker:
        self._offset_seconds = self.duration_seconds
        return EventTracker(
            self._classifier.labels,
            self._rules,
            sample_rate=self._classifier.sample_rate,
            hop=self._scorer.hop,
            trim=round((0.5 - NOTICED) * self._scorer.window),
            offset_seconds=self._offset_seconds,
        )

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
    def shortest_seconds(self) -> float:
        """Length of one analysis frame; less than that is not heard."""
        return self._classifier.config.frontend.win_length / self._classifier.sample_rate

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

        The last window ends with it; a recording shorter than a window is padded, and one shorter
        than an analysis frame is not heard. A block that is pushed later begins anew, its times
        still counted from the first sample of all.

        Returns:
            The events that were not certain yet, by their start.
        """
        events = [] if self._mixer is None else self._hear(self._mixer.flush())
        self._mixer = None
        events += self._follow(self._scorer.push(self._resampler.flush()))
        n_samples = self._scorer.n_samples
        events += self._follow(self._scorer.flush())
        events += self._tracker.flush(n_samples)
        self._tracker = self._new_tracker()
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
        self._tracker = self._new_tracker()
        return events

    def scores(self) -> Scores:
        """The scores of all windows so far; those of the last one come with `flush`.

        Raises:
            ConfigError: the stream was made without ``keep_scores=True``.
        """
        if self._kept is None:
            raise ConfigError("a stream keeps its scores if it is made with keep_scores=True")
        config = self._classifier.config
        rows = [row for _, row in self._kept]
        return Scores(
            values=torch.stack(rows) if rows else torch.empty(0, len(config.labels)),
            start_seconds=torch.tensor([at for at, _ in self._kept], dtype=torch.float64),
            labels=config.labels,
            window_seconds=self._scorer.window / self._classifier.sample_rate,
            hop_seconds=self._scorer.hop / self._classifier.sample_rate,
            duration_seconds=self.duration_seconds,
        )

    def _follow(self, rows: list[tuple[int, Tensor]]) -> list[Event]:
        events: list[Event] = []
        for start, scores in rows:
            if self._kept is not None:
                at = self._offset_seconds + start / self._classifier.sample_rate
                self._kept.append((at, scores))
            # A window speaks for the hop around its middle.
            end = start + (self._scorer.window + self._scorer.hop) // 2
            events += self._tracker.push(scores, end)
        return sorted(events, key=_by_start)


def _by_start(event: Event) -> float:
    return event.start_seconds
