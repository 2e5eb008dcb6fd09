"""Scores of a waveform that arrives in blocks: what all kinds of rows share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from soundsep.audio.silence import is_silent
from soundsep.audio.windows import pad_to
from soundsep.classifier.protocol import ClassifierLike
from soundsep.classifier.scoring import batch_limit, check_finite, forward_in_slices
from soundsep.devices import prepare

__all__ = ["BlockScorer", "Rows", "Window"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Successive rows of scores, and the spans they apply to: from the end of the row before.

    Attributes:
        starts: First sample of each window, or of each frame, (n_rows,).
        ends: End of each span, in samples, (n_rows,); the last row ends with the waveform.
        scores: (n_rows, n_labels), on the CPU.
    """

    starts: Tensor
    ends: Tensor
    scores: Tensor

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.scores)

    def __getitem__(self, which: slice) -> Rows:
        """Some of the rows."""
        return Rows(self.starts[which], self.ends[which], self.scores[which])

    @classmethod
    def joined(cls, parts: Sequence[Rows], n_labels: int) -> Rows:
        """Rows one after the other; without any, none of ``n_labels`` scores."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            none = torch.empty(0, dtype=torch.int64, device="cpu")
            return cls(none, none, torch.empty(0, n_labels, dtype=torch.float32, device="cpu"))
        return cls(
            torch.cat([part.starts for part in parts]),
            torch.cat([part.ends for part in parts]),
            torch.cat([part.scores for part in parts]),
        )


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
        self._n_labels = len(classifier.labels)
        self.window = classifier.config.window_samples
        self.hop = hop
        self._holds_sound = False  # a window so far, of earlier waveforms too
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
    def _silence(self) -> Tensor:
        """What `_predict` gives for a window without any sound, without the batch."""

    @abstractmethod
    def _rows(self, windows: Sequence[Window], scores: Tensor) -> Rows:
        """The rows of successive windows; scores: those of `_predict`."""

    def push(self, waveform: Tensor) -> Rows:
        """Process the next samples, (time,), at the classifier's rate.

        Returns:
            The rows of the windows that were scored.
        """
        self._pieces.append(waveform)
        self.n_samples += len(waveform)
        if not self._is_complete():
            return Rows.joined([], self._n_labels)
        held = self._held()
        first = self.n_samples - len(held)
        while self._is_complete():
            self._enqueue(self._next, held[self._next - first :], is_last=False)
            self._next += self.hop
        self._pieces = [held[-self.window :].clone()]
        return self._scored(self._batch_size if self._wait else 1)

    def flush(self) -> Rows:
        """Score the rest of the waveform; the next `push` begins another one.

        Returns:
            The remaining rows; none for a waveform shorter than one analysis frame.
        """
        config, start = self._classifier.config, self._last_start()
        if self.n_samples >= config.min_samples and start is not None:
            held = self._held()
            rest = held[start - (self.n_samples - len(held)) :]
            self._enqueue(start, pad_to(rest, self.window, padding=config.padding), is_last=True)
        rows = self._scored(1)
        self._holds_sound = not self.is_silent
        self._reset()
        return rows

    @property
    def is_silent(self) -> bool:
        """Whether no window is more than digital silence, of earlier waveforms too.

        The end of the waveform counts as its last window.
        """
        if self._holds_sound or not self.n_samples:
            return not self._holds_sound
        return is_silent(self._held()[-self.window :])

    def _held(self) -> Tensor:
        """The end of the waveform, (time,)."""
        self._pieces = [torch.cat(self._pieces)]
        return self._pieces[0]

    def _enqueue(self, start: int, samples: Tensor, *, is_last: bool) -> None:
        n_rows, samples = self._n_rows(start, is_last=is_last), samples[: self.window]
        self._holds_sound = self._holds_sound or not is_silent(samples)
        self._queue.append(Window(start, samples, n_rows))

    @torch.inference_mode()
    def _scored(self, least: int) -> Rows:
        """Score queued windows in batches of at least ``least`` windows."""
        parts: list[Rows] = []
        while len(self._queue) >= least:
            batch = self._queue[: self._batch_size]
            del self._queue[: self._batch_size]
            parts.append(self._rows(batch, self._scores([window.samples for window in batch])))
        return Rows.joined(parts, self._n_labels)

    def _scores(self, windows: list[Tensor]) -> Tensor:
        """What `_predict` gives for windows, on the CPU; silent ones are not sent through it."""
        heard = [not is_silent(window, self._silence_db) for window in windows]
        if not any(heard):
            return self._silence().expand(len(windows), *self._silence().shape)
        batch = torch.stack([w for w, is_heard in zip(windows, heard, strict=True) if is_heard])
        found = check_finite(
            forward_in_slices(self._classifier, self._predict, batch.to(self._device)).float().cpu()
        )
        if all(heard):
            return found
        scores = found.new_zeros(len(windows), *found.shape[1:])
        scores[torch.tensor(heard, device="cpu")] = found
        return scores
