"""The filter between two sample rates, computed as matrix products."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["MAX_FACTOR", "Polyphase", "polyphase"]

N_ZEROS = 24  # zero crossings of the filter to either side
MAX_FACTOR = 2**15  # largest term of the ratio; the filter has 48 times as many taps
BLOCK = 32  # outputs that share a matrix, and are computed at once for each frame of input
ROWS = 16  # the number of rows of a product is a multiple of this
MAX_PRODUCTS = 2**18  # multiplications at once; OpenBLAS would share more among all cores
SMALL_FACTOR = 2**10  # filters up to this term take less than half a megabyte


@dataclass(frozen=True, slots=True)
class _Block:
    """Outputs that are computed together.

    Attributes:
        start: Index of the first output, from the beginning of the period.
        first: Index of the first input needed, likewise; below 0 before the period.
        matrix: Filter, shifted once for each output, (n_taps, n_outputs).
    """

    start: int
    first: int
    matrix: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Polyphase:
    """A low-pass filter with ``up`` outputs for every ``down`` inputs.

    An output is a sum over the inputs around it, weighted by one of the ``up`` phases of the
    filter. Neighbouring outputs need nearly the same inputs, so a block of them is one product: the
    inputs, cut into frames a period apart, times a matrix with one phase per column, each shifted
    to its place. A frame is no longer than a period, so that frames are rows of a matrix that lies
    in the waveform itself, and only the ends of the waveform are copied.

    Attributes:
        up: Number of outputs, in lowest terms.
        down: Number of inputs, in lowest terms.
        period: Number of inputs after which everything repeats, a multiple of ``down``.
        half_length: Reach of the filter to either side, in steps of ``1 / up`` of an input.
        blocks: Outputs of one period, in order.
    """

    up: int
    down: int
    period: int
    half_length: int
    blocks: tuple[_Block, ...]

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filter whole waveforms, with silence before and after them.

        Shape:
            samples: (..., time). Returns (..., ceil(time * up / down)).
        """
        n = samples.shape[-1]
        out = np.empty((*samples.shape[:-1], -(-n * self.up // self.down)), dtype=np.float32)
        signals = np.ascontiguousarray(samples, dtype=np.float32).reshape(
            math.prod(out.shape[:-1]), n
        )
        for signal, row in zip(signals, out.reshape(len(signals), out.shape[-1]), strict=True):
            self._filter(signal, row)
        return out

    def _filter(self, signal: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        n_given = self.period // self.down * self.up  # outputs of a period
        n_taps = max(len(block.matrix) for block in self.blocks)
        # Always the same number of rows, so that rounding does not depend on how blocks are cut.
        n_rows = max(1, MAX_PRODUCTS // (ROWS * BLOCK * n_taps)) * ROWS
        for begin in range(0, -(-len(out) // n_given), n_rows):
            wanted = out[begin * n_given : (begin + n_rows) * n_given]
            if wanted.size == n_rows * n_given:
                self._give(signal, begin, wanted.reshape(n_rows, n_given))
            else:
                rows = np.empty((n_rows, min(n_given, len(wanted))), dtype=np.float32)
                self._give(signal, begin, rows)
                wanted[:] = rows.reshape(-1)[: len(wanted)]

    def _give(self, signal: NDArray[np.float32], begin: int, rows: NDArray[np.float32]) -> None:
        """Outputs from the ``begin``-th period on, one per row; the rows may end within it."""
        blocks = [block for block in self.blocks if block.start < rows.shape[1]]
        lowest = blocks[0].first
        first = begin * self.period + lowest
        stop = first + (len(rows) - 1) * self.period + blocks[-1].first - lowest
        stop += max(len(block.matrix) for block in blocks)
        inputs = signal[max(0, first) : stop]
        if first < 0 or stop > len(signal):
            begins = max(0, -first)
            inputs = np.pad(inputs, (begins, stop - first - begins - len(inputs)))
        step = inputs.itemsize
        for block in blocks:
            # As by as_strided, which takes longer than a product does.
            frames: NDArray[np.float32] = np.ndarray(
                (len(rows), len(block.matrix)),
                np.float32,
                buffer=inputs,
                offset=(block.first - lowest) * step,
                strides=(self.period * step, step),
            )
            end = block.start + block.matrix.shape[1]
            if end <= rows.shape[1]:
                np.matmul(frames, block.matrix, out=rows[:, block.start : end])
            else:
                rows[:, block.start :] = (frames @ block.matrix)[:, : rows.shape[1] - block.start]


def polyphase(up: int, down: int) -> Polyphase:
    """The filter between two rates; it is kept for later calls.

    Args:
        up: Target rate, in lowest terms, at most `MAX_FACTOR`.
        down: Source rate, in lowest terms, at most `MAX_FACTOR`.
    """
    return (_small if max(up, down) <= SMALL_FACTOR else _large)(up, down)


def _designed(up: int, down: int) -> Polyphase:
    half_length = N_ZEROS * max(up, down)
    taps = _low_pass(max(up, down)) * np.float32(up)
    n_outputs = up * max(1, BLOCK // up)
    bounds = np.linspace(0, n_outputs, -(-n_outputs // BLOCK) + 1).round().astype(int).tolist()
    blocks = [
        _block(taps, range(start, stop), up, down, half_length)
        for start, stop in itertools.pairwise(bounds)
    ]
    n_taps = max(len(block.matrix) for block in blocks)
    n_inputs = n_outputs * down // up
    n_repeats = -(-n_taps // n_inputs)
    repeated = [
        _Block(block.start + i * n_outputs, block.first + i * n_inputs, block.matrix)
        for i in range(n_repeats)
        for block in blocks
    ]
    return Polyphase(up, down, n_repeats * n_inputs, half_length, tuple(repeated))


_small = functools.lru_cache(maxsize=16)(_designed)
_large = functools.lru_cache(maxsize=2)(_designed)  # up to 10 MB each


def _block(
    taps: NDArray[np.float32], outputs: range, up: int, down: int, half_length: int
) -> _Block:
    # Output q is the sum of taps[q * down + half_length - i * up] times input i.
    reached = [(-((half_length - q * down) // up), (half_length + q * down) // up) for q in outputs]
    first = reached[0][0]
    matrix = np.zeros((reached[-1][1] - first + 1, len(outputs)), dtype=np.float32)
    for column, (q, (begin, end)) in enumerate(zip(outputs, reached, strict=True)):
        phase = taps[(half_length + q * down) % up :: up][::-1]
        matrix[begin - first : end - first + 1, column] = phase
    matrix.setflags(write=False)
    return _Block(outputs[0], first, matrix)


def _low_pass(factor: int) -> NDArray[np.float32]:
    """Filter for a rate change by ``factor``: a Kaiser window on `N_ZEROS` crossings per side.

    All in float32: for coprime rates it has a million taps.
    """
    beta, cutoff = 7.0, 0.94
    n = N_ZEROS * factor
    taps = torch.sinc(
        torch.arange(-n, n + 1, dtype=torch.float32, device="cpu").mul_(cutoff / factor)
    )
    taps *= torch.kaiser_window(
        2 * n + 1, periodic=False, beta=beta, dtype=torch.float32, device="cpu"
    )
    taps /= taps.sum(dtype=torch.float64)
    filter_taps: NDArray[np.float32] = taps.numpy()
    return filter_taps
