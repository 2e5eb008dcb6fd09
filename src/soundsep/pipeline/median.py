"""A median filter over the scores of frames, as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from soundsep.classifier.block_scorer import Rows

__all__ = ["MedianFilter"]


class MedianFilter:
    """Each label's median over the frames around each; the first and last frame are repeated.

    Args:
        lengths: Length of each label's filter, in frames; odd.

    Examples:
        >>> scores = torch.tensor([0.0, 1, 0, 1, 1]).unsqueeze(1)
        >>> rows = Rows(torch.arange(5), torch.arange(1, 6), scores)
        >>> smooth = MedianFilter([3])
        >>> torch.cat([smooth.push(rows).scores, smooth.flush().scores]).flatten().tolist()
        [0.0, 0.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        halves = [length // 2 for length in lengths]
        # The columns of each length, so that one call filters all of them.
        self._columns = {
            half: [i for i, other in enumerate(halves) if other == half] for half in set(halves)
        }
        self._reach = max(halves)
        self._reset()

    def _reset(self) -> None:
        n_labels = sum(map(len, self._columns.values()))
        self._waiting = Rows.joined([], n_labels)  # rows not filtered yet
        self._scores = self._waiting.scores  # their scores, and as many as the filter reaches back

    def push(self, rows: Rows) -> Rows:
        """Add rows; returns the rows far enough back, filtered."""
        if not len(rows):
            return rows
        if not len(self._scores):
            self._scores = rows.scores[:1].expand(self._reach, -1)
        self._scores = torch.cat((self._scores, rows.scores))
        self._waiting = Rows.joined([self._waiting, rows], rows.scores.shape[1])
        return self._filtered()

    def flush(self) -> Rows:
        """End the recording; returns the remaining rows, filtered."""
        if len(self._scores):
            last = self._scores[-1:].expand(self._reach, -1)
            self._scores = torch.cat((self._scores, last))
        rows = self._filtered()
        self._reset()
        return rows

    def _filtered(self) -> Rows:
        n = max(0, len(self._scores) - 2 * self._reach)
        filtered = torch.empty_like(self._scores[:n])
        if n:
            for half, columns in self._columns.items():
                first = self._reach - half
                around = self._scores[first : first + n + 2 * half, columns]
                filtered[:, columns] = around.unfold(0, 2 * half + 1, 1).median(dim=-1).values
        done, left = self._waiting[:n], self._waiting[n:]
        self._waiting, self._scores = left, self._scores[n:]
        return replace(done, scores=filtered)
