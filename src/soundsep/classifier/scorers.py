"""Scores of a waveform that arrives in blocks: one row per window, or one per frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from soundsep.classifier.block_scorer import BlockScorer, Rows, Window
from soundsep.classifier.checks import frame_scores_of, scores_of
from soundsep.classifier.config import MAX_OVERLAP
from soundsep.classifier.protocol import ClassifierLike
from soundsep.config import check_number, check_whole

__all__ = ["FrameScorer", "WindowScorer", "build_scorer"]


class WindowScorer(BlockScorer):
    """One row per window of `soundsep.audio.windows.split_windows`.

    The scores of a window apply to the hop around its middle.
    """

    def _is_complete(self) -> bool:
        return self._next + self.window <= self.n_samples

    def _last_start(self) -> int | None:
        last = max(0, self.n_samples - self.window)
        return last if last > self._next - self.hop else None

    def _n_rows(self, start: int, *, is_last: bool) -> int:
        return 1

    def _predict(self, windows: Tensor) -> Tensor:
        return scores_of(self._classifier, windows)

    def _silence(self) -> Tensor:
        return torch.zeros(self._n_labels, dtype=torch.float32, device="cpu")

    def _rows(self, windows: Sequence[Window], scores: Tensor) -> Rows:
        starts = torch.tensor([window.start for window in windows], device="cpu")
        return Rows(starts, starts + (self.window + self.hop) // 2, scores)


class FrameScorer(BlockScorer):
    """One row per frame of the waveform: the mean over the windows that hold it.

    Windows start at frames, a whole number of frames apart; the last one ends with the waveform or
    less than a frame beyond it. The middle of frame ``i`` is ``i`` frame lengths after the start,
    and its scores apply to half a frame on either side. In the mean, a window has more weight the
    nearer the frame is to its middle.

    Args:
        classifier: Model with frames.
        hop: Step between windows, in samples, 1 to a window's length; it is rounded to frames.
        batch_size: Most windows per forward pass.
        wait: Score only full batches until the waveform ends.
        silence_db: Level in dBFS below which windows score 0 too.
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
        frame = classifier.frame_length
        assert frame is not None, "build_scorer looks"
        self._frame, self._halves = frame, (-frame / 2, frame / 2)
        super().__init__(
            classifier, hop=hop, batch_size=batch_size, wait=wait, silence_db=silence_db
        )
        middles = torch.arange(0, self.window, frame, device="cpu")
        distance = (middles - self.window / 2).abs()
        self._weights = 1 - distance.float() / (self.window / 2 + frame)

    def _reset(self) -> None:
        super()._reset()
        self._n_queued = self._n_given = 0  # frames
        # For frames that later windows may hold too: sums of weighted scores, and of weights.
        self._sums = torch.empty(0, self._n_labels, dtype=torch.float32, device="cpu")
        self._totals = torch.empty(0, dtype=torch.float32, device="cpu")

    def _is_complete(self) -> bool:
        # Not without a sample beyond it: what ends with the signal is its last window.
        return self._next + self.window < self.n_samples

    def _last_start(self) -> int | None:
        excess = max(0, self.n_samples - self.window)
        return -(-excess // self._frame) * self._frame

    def _n_rows(self, start: int, *, is_last: bool) -> int:
        """The frames that come before the next window."""
        stop = -(-(self.n_samples if is_last else start + self.hop) // self._frame)
        n_rows, self._n_queued = stop - self._n_queued, stop
        return n_rows

    def _predict(self, windows: Tensor) -> Tensor:
        return frame_scores_of(self._classifier, windows)

    def _silence(self) -> Tensor:
        return torch.zeros(len(self._weights), self._n_labels, dtype=torch.float32, device="cpu")

    def _rows(self, windows: Sequence[Window], scores: Tensor) -> Rows:
        before = self._n_given
        parts = [self._mean(window, each) for window, each in zip(windows, scores, strict=True)]
        # In float64: float32 holds no sample's number beyond minutes.
        middles = torch.arange(before, self._n_given, device="cpu").double() * self._frame
        starts, ends = ((middles + half).round().long() for half in self._halves)
        return Rows(starts.clamp(min=0), ends, torch.cat(parts))

    def _mean(self, window: Window, scores: Tensor) -> Tensor:
        """Scores of the frames that no later window holds; the others are kept."""
        first = window.start // self._frame - self._n_given
        # The last window may begin among frames already returned.
        known = slice(max(0, -first), min(len(scores), len(self._weights)))
        weights, begin = self._weights[known], max(0, first)
        n_new = begin + len(weights) - len(self._sums)
        if n_new > 0:
            self._sums = torch.nn.functional.pad(self._sums, (0, 0, 0, n_new))
            self._totals = torch.nn.functional.pad(self._totals, (0, n_new))
        self._sums[begin : begin + len(weights)] += scores[known] * weights[:, None]
        self._totals[begin : begin + len(weights)] += weights
        mean = self._sums[: window.n_rows] / self._totals[: window.n_rows, None]
        self._sums, self._totals = self._sums[len(mean) :], self._totals[len(mean) :]
        self._n_given += len(mean)
        return mean


def build_scorer(
    classifier: ClassifierLike,
    *,
    hop_seconds: float | None,
    batch_size: int,
    wait: bool = False,
    silence_db: float | None = None,
) -> BlockScorer:
    """The scorer for the classifier's kind of network.

    Args:
        classifier: The model.
        hop_seconds: Step between windows. By default the classifier's own or, if it has frames,
            half a window, rounded down to whole frames.
        batch_size: Most windows per forward pass.
        wait: Score only full batches until the waveform ends.
        silence_db: Level in dBFS below which windows score 0 too.

    Raises:
        ConfigError: ``hop_seconds`` or ``batch_size`` is out of range.
    """
    config, rate, frame = classifier.config, classifier.sample_rate, classifier.frame_length
    if hop_seconds is not None:
        shortest = max(1 / rate, config.window_seconds / MAX_OVERLAP)
        # A sample and a thousandth of the window, up to the whole window.
        check_number("hop_seconds", hop_seconds, least=shortest, most=config.window_seconds)
    kind: type[BlockScorer]
    if frame is None:
        hop_seconds = config.hop_seconds if hop_seconds is None else hop_seconds
        kind, hop = WindowScorer, max(1, round(hop_seconds * rate))
    else:
        if hop_seconds is None:
            hop_seconds = config.window_seconds / 2
        kind, most = FrameScorer, config.window_samples // frame
        hop = frame * min(max(1, int(hop_seconds * rate / frame + 1e-6)), most)
    batch_size = check_whole("batch_size", batch_size, least=1)
    return kind(classifier, hop=hop, batch_size=batch_size, wait=wait, silence_db=silence_db)
