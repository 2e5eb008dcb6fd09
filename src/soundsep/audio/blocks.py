"""A recording of any length, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import torch
from torch import Tensor

from soundsep.audio.arrays import from_array, is_array
from soundsep.audio.channels import average
from soundsep.audio.checks import AudioInput, Samples, check_format, check_target_rate
from soundsep.audio.decode import Decoder
from soundsep.audio.resampling import StreamingResampler
from soundsep.errors import ConfigError

__all__ = ["AudioBlocks", "audio_blocks"]


class AudioBlocks:
    """The blocks of one recording, each once, in order; made by `audio_blocks`.

    A file is closed when its last block was given, or with `close` or a ``with`` statement.

    Attributes:
        sample_rate: Rate of the blocks, in Hz.
        n_channels: Channels of the recording, whether or not they are averaged.
        duration_seconds: Length that the header promises; ``None`` where it does not know.
    """

    def __init__(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None,
        target_rate: int | None,
        mono: bool,
        block_samples: int,
    ) -> None:
        target_rate = check_target_rate(target_rate)
        if block_samples < 1:
            raise ConfigError(f"block_samples must be at least 1, got {block_samples}")
        self._decoder: Decoder | None = None
        if is_array(audio):
            rate = target_rate if sample_rate is None else sample_rate
            if rate is None:
                raise ConfigError("an array carries no sample rate: pass sample_rate= in Hz")
            self._samples = from_array(audio)
            self.n_channels, n_frames = self._samples.shape
            rate = check_format("the array", self.n_channels, rate)
            known: int | None = n_frames
        else:
            self._decoder = Decoder(audio)
            rate, known = self._decoder.sample_rate, self._decoder.n_frames
            self.n_channels = self._decoder.n_channels
        self.sample_rate = target_rate or rate
        self.duration_seconds = None if known is None else known / rate
        self._mono = mono
        self._size = max(1, block_samples // self.n_channels)
        self._resampler = StreamingResampler(rate, self.sample_rate)
        self._blocks = self._iterate()

    def _iterate(self) -> Iterator[Tensor]:
        try:
            for samples in self._decoded():
                kept = average(samples)[0] if self._mono else samples
                yield self._resampler.push(torch.from_numpy(kept))
            yield self._resampler.flush()
        finally:
            self.close()

    def _decoded(self) -> Iterator[Samples]:
        if self._decoder is None:
            for start in range(0, self._samples.shape[1], self._size):
                yield self._samples[:, start : start + self._size]
        else:
            while (samples := self._decoder.read(self._size)).shape[1]:
                yield samples

    def __iter__(self) -> Iterator[Tensor]:
        """Itself: the recording is read once."""
        return self

    def __next__(self) -> Tensor:
        """The next block that is not empty."""
        while not (block := next(self._blocks)).numel():
            pass
        return block

    def close(self) -> None:
        """Let go of the file; a file object that was given stays open."""
        if self._decoder is not None:
            self._decoder.close()

    def __enter__(self) -> AudioBlocks:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the file."""
        self.close()


def audio_blocks(
    audio: AudioInput,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    mono: bool = True,
    block_samples: int = 2**17,
) -> AudioBlocks:
    """Read a recording of any length block by block, in constant memory.

    Joined, the blocks are what `load_audio` gives, with the same checks; what is wrong with a file
    is raised where it is met, so the blocks before it have been given.

    Args:
        audio: As for `load_audio`.
        sample_rate: Rate of an array, in Hz; by default it is taken to be ``target_rate``.
        target_rate: Rate wanted, in Hz; ``None`` keeps the recording's own.
        mono: Average the channels.
        block_samples: Samples decoded at once, over all channels, at the recording's rate. Blocks
            differ in length where the rate is changed.

    Returns:
        An iterator of float32 tensors, (time,) or with ``mono=False`` (channels, time).

    Raises:
        AudioError: as `load_audio`, but no recording is too long.
        ConfigError: an array came without any rate, or an option is out of range.

    Examples:
        >>> blocks = audio_blocks(torch.zeros(2, 48_000), sample_rate=48_000, target_rate=16_000)
        >>> blocks.sample_rate, blocks.n_channels, blocks.duration_seconds
        (16000, 2, 1.0)
        >>> sum(len(block) for block in blocks)
        16000
    """
    return AudioBlocks(
        audio,
        sample_rate=sample_rate,
        target_rate=target_rate,
        mono=mono,
        block_samples=block_samples,
    )
