"""A median filter over the scores of frames, as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from soundsep.classifier.block_scorer import Row

__all__ = ["MedianFilter"]


class MedianFilter:
    """Each label's median over the frames around each; the first and last frame are repeated.

    Args:
        lengths: Length of each label's filter, in frames; odd.

    Examples:
        >>> rows = [Row(i, i + 1, torch.tensor([score])) for i, score in enumerate((0, 1, 0, 1, 1))]
        >>> smooth = MedianFilter([3])
        >>> [row.scores.item() for row in smooth.push(rows) + smooth.flush()]
        [0, 0, 1, 1, 1]
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        halves = [length // 2 for length in lengths]
        # The columns of each length, so that one call filters all of them.
        self._columns = {
            half: [i for i, other in enumerate(halves) if other == half] for half in set(halves)
        }
        self._reach = max(halves)
        self._rows: list[Row] = []  # rows not filtered yet
        self._scores: list[Tensor] = []  # their scores, and as many as the filter reaches back

    def push(self, rows: Iterable[Row]) -> list[Row]:
        """Add rows; returns the rows far enough back, filtered."""
        for row in rows:
            if not self._scores:
                self._scores = [row.scores] * self._reach
            self._rows.append(row)
            self._scores.append(row.scores)
        return self._filtered()

    def flush(self) -> list[Row]:
        """End the recording; returns the remaining rows, filtered."""
        if self._scores:
            self._scores += [self._scores[-1]] * self._reach
        rows = self._filtered()
        self._scores = []
        return rows

    def _filtered(self) -> list[Row]:
        n = len(self._scores) - 2 * self._reach
        if n < 1:
            return []
        scores = torch.stack(self._scores)
        filtered = torch.empty_like(scores[:n])
        for half, columns in self._columns.items():
            first = self._reach - half
            around = scores[first : first + n + 2 * half, columns].unfold(0, 2 * half + 1, 1)
            filtered[:, columns] = around.median(dim=-1).values
        rows = [row._replace(scores=s) for row, s in zip(self._rows[:n], filtered, strict=True)]
        del self._rows[:n], self._scores[:n]
        return rows
