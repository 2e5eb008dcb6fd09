"""Scores of a signal that comes in blocks: a row a window, or a row a frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from soundsep.audio.windows import pad_to
from soundsep.classifier.classifier import Classifier
from soundsep.classifier.config import MAX_OVERLAP
from soundsep.classifier.scoring import batch_limit, check_finite, is_silent
from soundsep.config import check_number, check_whole

__all__ = ["FrameScorer", "Row", "Scorer", "WindowScorer", "build_scorer"]

CONTEXT_SECONDS = 0.48  # of a window that the middle of a frame has on either side, at least
MAX_CONTEXT = 0.1  # of a window


class Row(NamedTuple):
    """Scores and what they speak for, in samples: from the end of the row before to its own.

    Attributes:
        start: First sample that was heard for it: of a window, or of a frame itself.
        end: Where it ends; the last row of a signal ends with that.
        scores: (n_labels,), on the CPU.
    """

    start: int
    end: int
    scores: Tensor


class _Window(NamedTuple):
    start: int
    samples: Tensor  # (window,)
    n_rows: int


class Scorer:
    """Scores windows as they become complete; what their rows are, the two below say.

    A window of digital silence has the score 0 for every label.

    Args:
        classifier: The model; it is put into evaluation mode.
        hop: Step between windows, in samples, 1 to a window's length.
        batch_size: Most windows of a forward pass.
        wait: Score only full batches until the signal ends.
        silence_db: Windows of a lower level, in dBFS, score 0 as well.

    Attributes:
        window: Length of a window, in samples.
        hop: Step between windows, in samples.
        n_samples: Length of the signal so far.
        peak: Largest magnitude of all that came, of earlier signals, too.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        hop: int,
        batch_size: int,
        wait: bool,
        silence_db: float | None = None,
    ) -> None:
        self._classifier = classifier.eval()
        self._silence_db = silence_db
        self._device = next(classifier.parameters()).device
        self._batch_size, self._wait = batch_limit(classifier, batch_size), wait
        self.window = round(classifier.config.window_seconds * classifier.sample_rate)
        self.hop = hop
        self.peak = 0.0
        self._reset()

    def _reset(self) -> None:
        self.n_samples = 0
        self._pieces: list[Tensor] = []  # the end of the signal, at least a window of it
        self._next = 0  # where the next window starts
        self._queue: list[_Window] = []  # that wait for a full batch

    def _is_complete(self) -> bool:
        """Whether the next window can be scored."""
        raise NotImplementedError

    def _last_start(self) -> int | None:
        """Where the last window starts, less than a window before the end; None if it was scored.

        It is padded where it goes beyond the end.
        """
        raise NotImplementedError

    def _n_rows(self, start: int, *, is_last: bool) -> int:
        """How many rows a window has."""
        raise NotImplementedError

    def _predict(self, windows: Tensor) -> Tensor:
        """(batch, window) to scores (batch, n_labels) or (batch, n_frames, n_labels)."""
        raise NotImplementedError

    def _rows(self, window: _Window, scores: Tensor) -> Iterator[Row]:
        """The rows of a window; scores: those of `_predict`, without the batch."""
        raise NotImplementedError

    def push(self, waveform: Tensor) -> list[Row]:
        """Take the next samples, (time,), at the classifier's rate.

        Returns:
            The rows of each window that was scored.
        """
        self._pieces.append(waveform)
        self.n_samples += len(waveform)
        if len(waveform):
            self.peak = max(self.peak, float(waveform.abs().max()))
        if not self._is_complete():
            return []
        held = torch.cat(self._pieces)
        first = self.n_samples - len(held)
        while self._is_complete():
            self._enqueue(self._next, held[self._next - first :], is_last=False)
            self._next += self.hop
        self._pieces = [held[-self.window :].clone()]
        return self._scored(self._batch_size if self._wait else 1)

    def flush(self) -> list[Row]:
        """Score what is left of the signal; what is pushed next begins another one.

        Returns:
            As `push`; nothing for a signal shorter than one analysis frame.
        """
        config, start = self._classifier.config, self._last_start()
        if self.n_samples >= config.frontend.win_length and start is not None:
            held = torch.cat(self._pieces)
            rest = held[start - (self.n_samples - len(held)) :]
            self._enqueue(start, pad_to(rest, self.window, padding=config.padding), is_last=True)
        rows = self._scored(1)
        self._reset()
        return rows

    def _enqueue(self, start: int, samples: Tensor, *, is_last: bool) -> None:
        n_rows = self._n_rows(start, is_last=is_last)
        self._queue.append(_Window(start, samples[: self.window], n_rows))

    @torch.inference_mode()
    def _scored(self, least: int) -> list[Row]:
        """Empty the queue in batches, of at least ``least`` windows."""
        rows: list[Row] = []
        while len(self._queue) >= least:
            batch = self._queue[: self._batch_size]
            del self._queue[: self._batch_size]
            heard = [
                i
                for i, window in enumerate(batch)
                if not is_silent(window.samples, self._silence_db)
            ]
            scores: dict[int, Tensor] = {}
            if heard:
                windows = torch.stack([batch[i].samples for i in heard]).to(self._device)
                found = check_finite(self._predict(windows).float().cpu())
                scores = dict(zip(heard, found, strict=True))
            silence = torch.zeros(len(self._classifier.labels))
            for i, window in enumerate(batch):
                rows += self._rows(window, scores.get(i, silence))
        return rows


class WindowScorer(Scorer):
    """A row for each window, those of `soundsep.audio.windows.split_windows`.

    A window speaks for the hop around its middle.
    """

    def _is_complete(self) -> bool:
        return self._next + self.window <= self.n_samples

    def _last_start(self) -> int | None:
        last = max(0, self.n_samples - self.window)
        return last if last > self._next - self.hop else None

    def _n_rows(self, start: int, *, is_last: bool) -> int:
        return 1

    def _predict(self, windows: Tensor) -> Tensor:
        return self._classifier.predict(windows)

    def _rows(self, window: _Window, scores: Tensor) -> Iterator[Row]:
        yield Row(window.start, window.start + (self.window + self.hop) // 2, scores)


class FrameScorer(Scorer):
    """A row for each frame of the signal, from a window in whose middle the frame lies.

    The windows start with a frame each, and follow each other by whole frames; the last one ends
    with the signal or goes less than a frame beyond it. The middle of frame ``i`` is ``i`` frame
    lengths after the start, and it speaks for half a frame on either side.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        hop: int,
        batch_size: int,
        wait: bool,
        silence_db: float | None = None,
    ) -> None:
        frame = classifier.frame_length
        assert frame is not None, "build_scorer looks"
        self._frame = frame
        super().__init__(
            classifier, hop=hop, batch_size=batch_size, wait=wait, silence_db=silence_db
        )
        n_given, n_full = hop // frame, self.window // frame
        # The frames that a window gives are those in its middle, as far as they are whole.
        before = round((self.window / frame - (n_given - 1)) / 2)
        self._reach = n_given + min(before, n_full - n_given)  # one behind the last, in frames

    def _reset(self) -> None:
        super()._reset()
        self._n_queued = self._n_given = 0  # frames

    def _is_complete(self) -> bool:
        # Not without a sample beyond it: what ends with the signal is its last window.
        return self._next + self.window < self.n_samples

    def _last_start(self) -> int | None:
        excess = max(0, self.n_samples - self.window)
        return -(-excess // self._frame) * self._frame

    def _n_rows(self, start: int, *, is_last: bool) -> int:
        stop = -(-self.n_samples // self._frame) if is_last else start // self._frame + self._reach
        n_rows, self._n_queued = stop - self._n_queued, stop
        return n_rows

    def _predict(self, windows: Tensor) -> Tensor:
        return self._classifier.frame_scores(windows)

    def _rows(self, window: _Window, scores: Tensor) -> Iterator[Row]:
        if scores.ndim == 1:
            scores = scores.expand(-(-self.window // self._frame), -1)
        half = self._frame / 2
        for _ in range(window.n_rows):
            middle = self._n_given * self._frame
            row = scores[(middle - window.start) // self._frame]
            self._n_given += 1
            yield Row(max(0, round(middle - half)), round(middle + half), row)


def build_scorer(
    classifier: Classifier,
    *,
    hop_seconds: float | None,
    batch_size: int,
    wait: bool = False,
    silence_db: float | None = None,
) -> Scorer:
    """The one that the classifier's network asks for.

    Args:
        classifier: The model.
        hop_seconds: Step between windows. By default the classifier's own; where it has frames,
            what leaves `CONTEXT_SECONDS` at both ends of a window, and rounded down to whole
            frames.
        batch_size: As `Scorer`.
        wait: Likewise.
        silence_db: Likewise.

    Raises:
        ConfigError: ``hop_seconds`` or ``batch_size`` is out of range.
    """
    config, rate, frame = classifier.config, classifier.sample_rate, classifier.frame_length
    if hop_seconds is not None:
        shortest = max(1 / rate, config.window_seconds / MAX_OVERLAP)
        # A sample and a thousandth of the window, up to the whole window.
        check_number("hop_seconds", hop_seconds, least=shortest, most=config.window_seconds)
    kind: type[Scorer]
    if frame is None:
        hop_seconds = config.hop_seconds if hop_seconds is None else hop_seconds
        kind, hop = WindowScorer, max(1, round(hop_seconds * rate))
    else:
        if hop_seconds is None:
            context = min(CONTEXT_SECONDS, MAX_CONTEXT * config.window_seconds)
            hop_seconds = config.window_seconds - 2 * context
        kind, most = FrameScorer, round(config.window_seconds * rate) // frame
        hop = frame * min(max(1, int(hop_seconds * rate / frame + 1e-6)), most)
    batch_size = check_whole("batch_size", batch_size, least=1)
    return kind(classifier, hop=hop, batch_size=batch_size, wait=wait, silence_db=silence_db)
