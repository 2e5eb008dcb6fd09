"""Scores of a waveform that arrives in blocks: what all kinds of rows share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from soundsep.audio.windows import pad_to
from soundsep.classifier.protocol import ClassifierLike
from soundsep.classifier.scoring import (
    batch_limit,
    check_finite,
    forward_in_slices,
    is_silent,
)
from soundsep.devices import prepare

__all__ = ["BlockScorer", "Row", "Window"]


class Row(NamedTuple):
    """Scores and the span they apply to, in samples: from the end of the row before to its own.

    Attributes:
        start: First sample of the window, or of the frame.
        end: End of the span; the last row ends with the waveform.
        scores: (n_labels,), on the CPU.
    """

    start: int
    end: int
    scores: Tensor


class Window(NamedTuple):
    """A window waiting for its batch.

    Attributes:
        start: First sample of the window.
        samples: Samples of the window, (window,).
        n_rows: Number of rows that the window gives.
    """

    start: int
    samples: Tensor
    n_rows: int


class BlockScorer(ABC):
    """Scores windows as they become complete; subclasses define their rows.

    A window of digital silence has the score 0 for every label.

    Args:
        classifier: The model; a network is put into evaluation mode.
        hop: Step between windows, in samples, 1 to a window's length.
        batch_size: Most windows per forward pass.
        wait: Score only full batches until the waveform ends.
        silence_db: Level in dBFS below which windows score 0 too.

    Attributes:
        window: Length of a window, in samples.
        hop: Step between windows, in samples.
        n_samples: Length of the waveform so far.
        peak: Largest magnitude so far, including earlier waveforms.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        hop: int,
        batch_size: int,
        wait: bool,
        silence_db: float | None = None,
    ) -> None:
        self._classifier, self._silence_db, self._wait = classifier, silence_db, wait
        self._device = prepare(classifier)
        self._batch_size = batch_limit(classifier.config, batch_size, self._device)
        self.window = classifier.config.window_samples
        self.hop = hop
        self.peak = 0.0
        self._reset()

    def _reset(self) -> None:
        self.n_samples = 0
        self._pieces: list[Tensor] = []  # the end of the waveform, at least one window
        self._next = 0  # where the next window starts
        self._queue: list[Window] = []  # windows waiting for a full batch

    @abstractmethod
    def _is_complete(self) -> bool:
        """Whether the next window can be scored."""

    @abstractmethod
    def _last_start(self) -> int | None:
        """Start of the last window, less than a window before the end; None if it was scored.

        The window is padded if it exceeds the end.
        """

    @abstractmethod
    def _n_rows(self, start: int, *, is_last: bool) -> int:
        """Number of rows of a window."""

    @abstractmethod
    def _predict(self, windows: Tensor) -> Tensor:
        """(batch, window) to scores (batch, n_labels) or (batch, n_frames, n_labels)."""

    @abstractmethod
    def _rows(self, window: Window, scores: Tensor) -> Iterator[Row]:
        """The rows of a window; scores: those of `_predict`, without the batch."""

    def push(self, waveform: Tensor) -> list[Row]:
        """Process the next samples, (time,), at the classifier's rate.

        Returns:
            The rows of the windows that were scored.
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
        """Score the rest of the waveform; the next `push` begins another one.

        Returns:
            The remaining rows; none for a waveform shorter than one analysis frame.
        """
        config, start = self._classifier.config, self._last_start()
        if self.n_samples >= config.min_samples and start is not None:
            held = torch.cat(self._pieces)
            rest = held[start - (self.n_samples - len(held)) :]
            self._enqueue(start, pad_to(rest, self.window, padding=config.padding), is_last=True)
        rows = self._scored(1)
        self._reset()
        return rows

    def _enqueue(self, start: int, samples: Tensor, *, is_last: bool) -> None:
        n_rows = self._n_rows(start, is_last=is_last)
        self._queue.append(Window(start, samples[: self.window], n_rows))

    @torch.inference_mode()
    def _scored(self, least: int) -> list[Row]:
        """Score queued windows in batches of at least ``least`` windows."""
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
                found = check_finite(
                    forward_in_slices(self._classifier, self._predict, windows).float().cpu()
                )
                scores = dict(zip(heard, found, strict=True))
            silence = torch.zeros(len(self._classifier.labels))
            for i, window in enumerate(batch):
                rows += self._rows(window, scores.get(i, silence))
        return rows
