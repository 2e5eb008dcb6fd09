"""A recording of any length, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from soundsep.audio.arrays import from_array, is_array, rate_of_array
from soundsep.audio.checks import AudioInput, Samples, check_format, check_target_rate
from soundsep.audio.decode import Decoder
from soundsep.audio.inputs import unpack
from soundsep.audio.mixdown import Mixer, check_channel
from soundsep.audio.resampling import StreamingResampler
from soundsep.config import check_whole
from soundsep.errors import AudioError

__all__ = ["AudioBlocks", "audio_blocks"]


class AudioBlocks:
    """An iterator over the blocks of one recording; made by `audio_blocks`.

    A file is closed after its last block, by `close`, or at the end of a ``with`` statement. Then
    there are no more blocks.

    Args:
        audio: As for `audio_blocks`, like all others.
        sample_rate: Rate of an array, in Hz.
        target_rate: Rate of the blocks, in Hz.
        mono: Mix the channels.
        channel: Read only this channel.
        block_samples: Samples decoded at once, over all channels.

    Attributes:
        sample_rate: Rate of the blocks, in Hz.
        n_channels: Number of channels of the recording, even if they are mixed.
        duration_seconds: Length by the header; ``None`` if it states none.
        sample_type: Smallest type that keeps the samples, in the words of libsndfile.
    """

    def __init__(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None,
        target_rate: int | None,
        mono: bool,
        channel: int | None,
        block_samples: int,
    ) -> None:
        target_rate, channel = check_target_rate(target_rate), check_channel(channel)
        block_samples = check_whole("block_samples", block_samples, least=1)
        audio, sample_rate = unpack(audio, sample_rate)
        self._decoder: Decoder | None = None
        self._is_closed = False
        if is_array(audio):
            rate = rate_of_array(sample_rate, target_rate)
            self._samples = from_array(audio)
            self.n_channels, n_frames = self._samples.shape
            rate = check_format("the array", self.n_channels, rate)
            known: int | None = n_frames
        else:
            self._decoder = Decoder(audio)
            rate, known = self._decoder.sample_rate, self._decoder.n_frames
            self.n_channels = self._decoder.n_channels
        self.sample_rate = target_rate or rate
        self.sample_type = "FLOAT" if self._decoder is None else self._decoder.sample_type
        self.duration_seconds = None if known is None else known / rate
        name = "the array" if self._decoder is None else self._decoder.name
        try:
            self._mixer = Mixer(name, self.n_channels, rate, mono=mono, channel=channel)
        except AudioError:
            self.close()
            raise
        self._is_flat = mono
        self._size = max(1, block_samples // self.n_channels)
        self._resampler = StreamingResampler(rate, self.sample_rate)
        self._blocks = self._iterate()

    def _iterate(self) -> Iterator[Tensor]:
        damage = None
        try:
            try:
                for samples in self._decoded():
                    yield self._resampled(self._mixer.push(samples))
            except AudioError as error:
                damage = error
            yield self._resampled(self._mixer.flush())
            yield self._resampler.flush()
            if damage is not None:
                raise damage
        finally:
            self.close()

    def _resampled(self, samples: Samples) -> Tensor:
        return self._resampler.push(torch.from_numpy(samples[0] if self._is_flat else samples))

    def _decoded(self) -> Iterator[Samples]:
        if self._decoder is None:
            for start in range(0, self._samples.shape[1], self._size):
                yield self._samples[:, start : start + self._size]
        else:
            while (samples := self._decoder.read(self._size)).shape[1]:
                yield samples

    def __iter__(self) -> Iterator[Tensor]:
        """The iterator itself: the recording is read once."""
        return self

    def __next__(self) -> Tensor:
        """The next block that is not empty."""
        if self._is_closed:
            raise StopIteration
        while not (block := next(self._blocks)).numel():
            pass
        return block

    def close(self) -> None:
        """Close the file; a file object passed in stays open."""
        self._is_closed = True
        if self._decoder is not None:
            self._decoder.close()

    def __enter__(self) -> AudioBlocks:
        """The iterator itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def audio_blocks(
    audio: AudioInput,
    *,
    sample_rate: int | None = None,
    target_rate: int | None = None,
    mono: bool = True,
    channel: int | None = None,
    block_samples: int = 2**17,
) -> AudioBlocks:
    """Read a recording of any length block by block, in constant memory.

    The blocks joined equal the result of `load_audio`, with the same checks. Damage is raised when
    it is reached, after all that could be decoded before it was yielded.

    Args:
        audio: Anything `load_audio` takes.
        sample_rate: Rate of an array, in Hz; by default ``target_rate`` is assumed.
        target_rate: Rate of the blocks, in Hz; ``None`` keeps the recording's own.
        mono: Mix the channels, as `load_audio` does.
        channel: Read only this channel, counted from 0.
        block_samples: Samples decoded at once, over all channels, at the recording's rate. Blocks
            differ in length if the rate is changed.

    Returns:
        An iterator of float32 tensors, (time,) or with ``mono=False`` (channels, time).

    Warns:
        SoundsepWarning: an array was given without ``sample_rate``.

    Raises:
        AudioError: as `load_audio`, but no recording is too long.
        ConfigError: an array was given without any rate, or an option is out of range.

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
        channel=channel,
        block_samples=block_samples,
    )
