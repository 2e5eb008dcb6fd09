"""Mix the channels of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio.checks import Samples
from soundsep.config import check_whole
from soundsep.errors import AudioError

__all__ = ["Mixer", "check_channel", "mixed_blocks", "to_mono"]

CELL_SECONDS = 0.25
FADE_SECONDS = 0.01
# The mean of n unrelated channels has 1 / n of their power; if it has less than an eighth of that,
# they cancel. The mean of two channels is then more than 12 dB below them.
CANCELLED = 1 / 8
TINY = 1e-20  # power, -200 dB, of which float32 is far from its limits
NEAR_LOUDEST = 1 / 4  # of the power, 6 dB: two channels that cancel differ by less


def check_channel(channel: Any) -> int | None:
    """Refuse a number that no channel has, and return it as an int.

    Args:
        channel: Number of a channel, counted from 0, or ``None``.

    Raises:
        ConfigError: it is not an integer of at least 0.
    """
    return None if channel is None else check_whole("channel", channel, least=0)


class Mixer:
    """Mixes channels to mono, independently of how the recording is cut into blocks.

    Mono is the mean of the channels, except where they nearly cancel: in each quarter of a second,
    counted from the first sample, in which the power of the mean is less than an eighth of that of
    the mean of unrelated channels (with two channels, 12 dB below the mean power of both), the
    first channel within 6 dB of the loudest is used instead. Power is measured around the mean
    value, so that a constant offset does not count. In the first 10 ms of a quarter, one fades into
    the other.

    Args:
        name: Name of the recording, for messages.
        n_channels: Number of channels of the recording.
        sample_rate: Rate of the recording, in Hz.
        mono: Mix the channels.
        channel: Keep only this channel, counted from 0.

    Attributes:
        n_kept: Number of channels of the result.

    Raises:
        AudioError: the recording has no such channel.
    """

    def __init__(
        self, name: str, n_channels: int, sample_rate: int, *, mono: bool, channel: int | None
    ) -> None:
        if channel is not None and channel >= n_channels:
            has = "1 channel" if n_channels == 1 else f"{n_channels} channels"
            raise AudioError(
                f"{name} has {has}, and no channel {channel}; channels are counted from 0, so "
                f"expected 0 to {n_channels - 1}"
            )
        self.n_kept = 1 if mono or channel is not None else n_channels
        self._channel = 0 if channel is None and n_channels == 1 else channel
        self._passes = self._channel is not None or self.n_kept == n_channels
        self._cell = max(1, round(CELL_SECONDS * sample_rate))
        n_fade = round(FADE_SECONDS * sample_rate)
        self._fade = np.linspace(0, 1, n_fade + 1, dtype=np.float32)[1:]
        self._held: list[Samples] = []  # less than a cell
        self._n_held = 0
        self._before: int | None = None  # the choice in the previous cell
        self._is_first = True

    def push(self, samples: Samples) -> Samples:
        """Take the next samples, and return those of the result that are final.

        Shape:
            samples: (channels, time), of any length. Returns (n_kept, time'), which may be empty.
        """
        if self._passes:
            if self._channel is None or len(samples) == 1:
                return samples
            kept: Samples = samples[self._channel : self._channel + 1].copy()  # not all others
            return kept
        self._held.append(samples)
        self._n_held += samples.shape[1]
        n_whole = self._n_held // self._cell * self._cell
        if not n_whole:
            return np.empty((1, 0), dtype=np.float32)
        joined = self._joined()
        rest = joined[:, n_whole:].copy()
        self._held, self._n_held = [rest], rest.shape[1]
        cells = (joined[:, at : at + self._cell] for at in range(0, n_whole, self._cell))
        return np.concatenate([self._mixed(cell) for cell in cells])[None]

    def flush(self) -> Samples:
        """Return the rest of the result; the next `push` begins another recording.

        Shape:
            Returns (n_kept, time').
        """
        rest: Samples
        if not self._n_held:
            rest = np.empty((self.n_kept, 0), dtype=np.float32)
        else:
            rest = self._mixed(self._joined())[None]
        self._held, self._n_held, self._before, self._is_first = [], 0, None, True
        return rest

    def whole(self, samples: Samples) -> Samples:
        """Mix a whole recording at once.

        Shape:
            samples: (channels, time). Returns (n_kept, time).
        """
        mixed, rest = self.push(samples), self.flush()
        return np.concatenate((mixed, rest), axis=1) if rest.size else mixed

    def _joined(self) -> Samples:
        return self._held[0] if len(self._held) == 1 else np.concatenate(self._held, axis=1)

    def like(self, samples: Samples, guide: Samples) -> Samples:
        """Mix a whole recording with the choices for another one of the same shape.

        Args:
            samples: Recording to mix.
            guide: Recording that decides where channels cancel.

        Shape:
            samples, guide: (channels, time). Returns (n_kept, time).
        """
        if self._passes:
            return self.whole(samples)
        starts = range(0, samples.shape[1], self._cell)
        cells = [slice(at, at + self._cell) for at in starts]
        return np.concatenate([self._mixed(samples[:, c], guide[:, c]) for c in cells])[None]

    def _mixed(self, cell: Samples, guide: Samples | None = None) -> NDArray[np.float32]:
        """(time,) of one cell of the grid."""
        mean, before = _mean(cell), self._before
        chosen = _chosen(cell, mean) if guide is None else _chosen(guide, _mean(guide))
        mixed = mean if chosen is None else cell[chosen].copy()
        if chosen != before and not self._is_first:
            weight = self._fade[: len(mixed)]
            n = len(weight)
            faded = _mean(cell[:, :n]) if before is None else cell[before, :n]
            mixed[:n] = weight * mixed[:n] + (1 - weight) * faded
        self._before, self._is_first = chosen, False
        return mixed


def to_mono(waveform: Tensor, sample_rate: int, *, like: Tensor | None = None) -> Tensor:
    """Mix a whole recording to mono, by the rule of `Mixer`.

    Args:
        waveform: Recording, or a source.
        sample_rate: Rate of the waveform, in Hz.
        like: Recording that decides where channels cancel: for a source, the one it is from.

    Shape:
        waveform, like: (channels, time), or already mono, (time,). Returns (time,).
    """
    if waveform.ndim == 1:
        return waveform
    mixer = Mixer("it", len(waveform), sample_rate, mono=True, channel=None)
    samples = waveform.numpy()
    mixed = mixer.whole(samples) if like is None else mixer.like(samples, like.numpy())
    return torch.from_numpy(mixed)[0]


def mixed_blocks(blocks: Iterable[Tensor], n_channels: int, sample_rate: int) -> Iterator[Tensor]:
    """Mix blocks of a recording to mono, by the rule of `Mixer`.

    Args:
        blocks: Blocks of one recording, in order.
        n_channels: Number of channels of the recording.
        sample_rate: Rate of the recording, in Hz.

    Shape:
        blocks: (channels, time). Yields (1, time'), which may be empty.
    """
    mixer = Mixer("it", n_channels, sample_rate, mono=True, channel=None)
    for block in blocks:
        yield torch.from_numpy(mixer.push(block.numpy()))
    yield torch.from_numpy(mixer.flush())


def _chosen(cell: Samples, mean: NDArray[np.float32]) -> int | None:
    """The channel to use, or None for the mean of all."""
    if _clearly_adds_up(cell, mean):
        return None
    powers = [float(channel.var(dtype=np.float64)) for channel in cell]
    of_mean = float(mean.var(dtype=np.float64))
    if of_mean * len(powers) >= CANCELLED * sum(powers) / len(powers):
        return None
    loudest = max(powers)
    return next(i for i, power in enumerate(powers) if power >= NEAR_LOUDEST * loudest)


def _clearly_adds_up(cell: Samples, mean: NDArray[np.float32]) -> bool:
    """Whether channels do not cancel even if powers are off by a percent, as in float32.

    It takes a third of the time of exact powers, and holds for nearly all recordings.
    """
    # With its offset, a channel has no less power than without it.
    at_most = 1.01 * float(np.einsum("ct,ct->c", cell, cell).sum())
    at_least = 0.99 * float(np.einsum("t,t->", mean, mean))
    at_least -= 1.01 * float(mean.sum()) ** 2 / len(mean)
    return at_least * len(cell) > CANCELLED * at_most / len(cell) + TINY * len(mean)


def _mean(cell: Samples) -> NDArray[np.float32]:
    return np.asarray(cell.mean(axis=0, dtype=np.float32))
