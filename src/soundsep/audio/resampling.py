"""Change of the sample rate."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.errors import ConfigError

__all__ = ["StreamingResampler", "resample"]

MIN_SEGMENT = 4096  # samples filtered at once, so that tiny blocks cost little
N_ZEROS = 24  # zero crossings of the filter to either side
MAX_RATE_RATIO = 1000  # of the two rates
MAX_FACTOR = 2**15  # by which a rate changes; the filter has 48 times as many taps


def resample(waveform: Tensor, sample_rate: int, target_rate: int) -> Tensor:
    """Change the sample rate with a windowed-sinc low-pass filter, in polyphase form.

    Up to 0.85 of the lower of the two Nyquist frequencies a tone keeps its level within 0.2 dB;
    from 1.03 on it is at least 60 dB down. Where a rate is above 32768 in lowest terms, as with
    44099 and 16000 Hz, the nearest ratio of smaller numbers is taken, which changes the speed by
    less than 2e-5 and keeps the filter below 7 MB.

    It works on the CPU and without gradients.

    Args:
        waveform: Any number of channels.
        sample_rate: Its rate, in Hz, at least 1.
        target_rate: The rate wanted, in Hz, at least 1.

    Shape:
        waveform: (..., time). Returns (..., ceil(time * target_rate / sample_rate)) in float32; at
        equal rates the waveform itself.

    Raises:
        ConfigError: a rate is below 1 or a fraction, or one is more than 1000 times the other.

    References:
        Crochiere and Rabiner (1983), "Multirate digital signal processing", chapter 2.
        Kaiser (1974), for the window.
    """
    ratio = _ratio(sample_rate, target_rate)
    if ratio == 1:
        return waveform
    return torch.from_numpy(_filtered(waveform.detach().cpu().numpy(), ratio))


class StreamingResampler:
    """`resample` for a signal that comes in blocks.

    However the signal is cut, the outputs joined are what `resample` makes of it as a whole. An
    output is given once all the samples it depends on are there; the first of a signal come after
    4096 samples, or one period of the two rates where that is longer. Memory does not grow.

    Args:
        sample_rate: Rate of the blocks, in Hz, at least 1.
        target_rate: The rate wanted, in Hz, at least 1.

    Raises:
        ConfigError: a rate is below 1 or a fraction, or one is more than 1000 times the other.

    Examples:
        >>> resampler = StreamingResampler(44_100, 16_000)
        >>> signal = torch.randn(44_100)
        >>> parts = [resampler.push(block) for block in signal.split(1000)]
        >>> joined = torch.cat([*parts, resampler.flush()])
        >>> torch.allclose(joined, resample(signal, 44_100, 16_000), atol=1e-6)
        True
    """

    def __init__(self, sample_rate: int, target_rate: int) -> None:
        self._ratio = _ratio(sample_rate, target_rate)
        self._reset()

    def _reset(self) -> None:
        self._pieces: list[NDArray[np.float32]] = []
        self._first = 0  # index in the signal of the first sample held, a multiple of `down`
        self._n_in = 0  # samples that came
        self._n_out = 0  # samples that were given
        self._n_waiting = 0  # samples that came since the filter last ran

    def push(self, block: Tensor) -> Tensor:
        """Take a block, and give the outputs that no later sample changes.

        Shape:
            block: (..., time), of any length. Returns (..., time'), which may be empty.
        """
        samples = block.detach().cpu().numpy()
        self._n_in += samples.shape[-1]
        if self._ratio == 1:
            return block
        self._pieces.append(samples.copy())  # the caller may use its memory again
        self._n_waiting += samples.shape[-1]
        if self._n_waiting < max(MIN_SEGMENT, self._ratio.denominator):
            return block.new_empty((*block.shape[:-1], 0), dtype=torch.float32)
        up, down = self._ratio.numerator, self._ratio.denominator
        return self._give(
            max(self._n_out, ((self._n_in - 1) * up - _half_length(up, down)) // down)
        )

    def flush(self) -> Tensor:
        """The rest of the signal; what is pushed next begins another one.

        Shape:
            Returns (..., time).
        """
        if not self._pieces:
            rest = torch.empty(0)
        else:
            rest = self._give(math.ceil(self._n_in * self._ratio))
        self._reset()
        return rest

    def _give(self, n_out: int) -> Tensor:
        """Outputs up to the ``n_out``-th of the signal; samples no longer needed are let go."""
        up, down = self._ratio.numerator, self._ratio.denominator
        held = np.concatenate(self._pieces, axis=-1)
        before = self._first // down * up  # outputs of the signal ahead of what is held
        out = _filtered(held, self._ratio)[..., self._n_out - before : n_out - before]
        self._n_out, self._n_waiting = n_out, 0
        needed = max(0, n_out * down - _half_length(up, down)) // up  # by the next output
        first = needed // down * down
        self._pieces = [held[..., first - self._first :].copy()]
        self._first = first
        return torch.from_numpy(np.ascontiguousarray(out))


def _ratio(sample_rate: int, target_rate: int) -> Fraction:
    # float, since integers of NumPy overflow
    low, high = sorted((float(sample_rate), float(target_rate)))
    if not (low.is_integer() and high.is_integer() and low >= 1 and high <= MAX_RATE_RATIO * low):
        raise ConfigError(
            "rates must be whole numbers of at least 1 Hz and at most a factor of "
            f"{MAX_RATE_RATIO} apart, got {sample_rate} and {target_rate}"
        )
    ratio = Fraction(int(low), int(high)).limit_denominator(MAX_FACTOR)
    return ratio if target_rate == low else 1 / ratio


def _filtered(samples: NDArray[np.float32], ratio: Fraction) -> NDArray[np.float32]:
    # scipy.signal takes a third of a second to import; most calls of short scripts need it not
    from scipy.signal import resample_poly

    up, down = ratio.numerator, ratio.denominator
    out = resample_poly(samples, up, down, axis=-1, window=_low_pass(max(up, down)))
    return np.ascontiguousarray(out, dtype=np.float32)


def _half_length(up: int, down: int) -> int:
    """Reach of the filter to either side, in steps of ``1 / up`` of a sample."""
    return N_ZEROS * max(up, down)


@functools.lru_cache(maxsize=4)
def _low_pass(factor: int) -> NDArray[np.float32]:
    """Filter for a rate change by ``factor``: a Kaiser window on `N_ZEROS` zero crossings a side.

    float32 throughout: for coprime rates it has a million taps.
    """
    beta, cutoff = 7.0, 0.94
    n = N_ZEROS * factor
    taps = torch.sinc(torch.arange(-n, n + 1, dtype=torch.float32).mul_(cutoff / factor))
    taps *= torch.kaiser_window(2 * n + 1, periodic=False, beta=beta, dtype=torch.float32)
    taps /= taps.sum(dtype=torch.float64)
    filter_taps: NDArray[np.float32] = taps.numpy()
    filter_taps.setflags(write=False)
    return filter_taps
