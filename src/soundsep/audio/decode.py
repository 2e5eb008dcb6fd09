"""Files, bytes and file objects to checked samples, read strictly forward, block by block."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundsep.audio.checks import Samples, check_format, check_samples
from soundsep.audio.contents import HEAD_BYTES, contents_of
from soundsep.audio.ffmpeg import FfmpegReader
from soundsep.audio.file import AudioFile, UnreadableError
from soundsep.audio.sndfile import MIN_SHARE, SndfileReader, truncated
from soundsep.errors import AudioError
from soundsep.interrupts import interrupts_held

__all__ = ["Decoder", "Reader"]

# Frames requested from a reader at once, whatever the size of blocks: what a decoder returns at the
# border of a request, or at damage, must not depend on the blocks.
REQUEST = 2**14
MAX_REQUESTS = 16  # that share an array
MIN_USED = 0.75  # of an array; of one that is used less, only what is used is kept
MAX_MISSING = 4_096  # frames that a header may count too many, as it includes a decoder's delay


class Reader(Protocol):
    """The samples of one file, from the first to the last; it never seeks.

    Attributes:
        sample_rate: Rate of the samples, in Hz.
        n_channels: Number of channels.
        n_frames: Length by the header, in samples per channel; ``None`` if unknown.
        is_lossy: Whether the header's count may differ by the delay of a decoder.
        sample_type: Smallest type that keeps the samples, in the words of libsndfile.
    """

    sample_rate: int
    n_channels: int
    n_frames: int | None
    is_lossy: bool
    sample_type: str

    def read(self, out: NDArray[np.float32]) -> int:
        """Read the next samples; none at the end.

        Args:
            out: Where they are written, from its beginning.

        Shape:
            out: (frames, channels).

        Returns:
            Number of samples per channel.

        Raises:
            UnreadableError: the file is damaged; the message says how.
            AudioError: the file is cut off, or cannot be read.
        """

    def close(self) -> None:
        """Release the decoder's memory; the file stays open."""


class Decoder:
    """An open recording, decoded as it is read: a header that promises terabytes costs nothing.

    Args:
        audio: A path, the bytes of a file, or a binary file object.

    Attributes:
        name: Name of the recording, for messages.
        sample_rate: Rate of the samples, in Hz.
        n_channels: Number of channels.
        n_frames: Length by the header, in samples per channel; ``None`` if unknown.
        sample_type: Smallest type that keeps the samples, in the words of libsndfile.

    Raises:
        AudioError: the file does not exist, or is not audio.
    """

    def __init__(self, audio: Any) -> None:
        self._audio = AudioFile(audio)
        self.name = self._audio.title
        self._reader: Reader | None = None
        try:
            with interrupts_held():
                self._reader = self._opened()
            self.sample_rate = check_format(
                self.name, self._reader.n_channels, self._reader.sample_rate
            )
        except BaseException:
            self.close()
            raise
        self.n_channels = self._reader.n_channels
        self.n_frames = self._reader.n_frames
        self.sample_type = self._reader.sample_type
        self._held: list[NDArray[np.float32]] = []  # (frames, channels), not given yet
        self._n_held = self._n_read = 0
        self._ended = False
        self._failure: AudioError | None = None  # raised once all before it was given

    def _opened(self) -> Reader:
        contents = contents_of(self._audio.peek(0, HEAD_BYTES))
        if contents is not None and contents.demuxer is not None:
            return FfmpegReader(self._audio, contents)
        try:
            return SndfileReader(self._audio)
        except UnreadableError as error:
            if contents is not None:
                raise AudioError(
                    f"{self.name} cannot be read as audio: it is {contents.what}; {contents.advice}"
                ) from error
            raise AudioError(
                f"{self.name} cannot be read as audio ({error}); expected wav, flac, ogg, mp3, "
                "aiff, caf, au or another format of libsndfile: check the file, or convert it to "
                "one of them"
            ) from error

    def read(self, n_frames: int) -> Samples:
        """Read the next samples, fewer at the end, and none after it.

        Args:
            n_frames: Number of samples per channel.

        Shape:
            Returns (channels, time).

        Raises:
            AudioError: the file is damaged, cut off or empty, or holds NaN or Inf. What could be
                decoded before the damage is returned first.
        """
        if self._n_held < n_frames and not self._ended:
            with interrupts_held():
                while self._n_held < n_frames and not self._ended:
                    self._fetch(n_frames - self._n_held)
        if not self._n_held:
            if self._failure is not None:
                raise self._failure
            return np.empty((self.n_channels, 0), np.float32)
        held = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        block = np.ascontiguousarray(held[:n_frames].T)
        rest = held[n_frames:]
        self._held, self._n_held = [rest] if len(rest) else [], len(rest)
        check_samples(self.name, block)
        return block

    def _fetch(self, n_frames: int) -> None:
        """Hold as many samples more, in whole requests; fewer if they are many."""
        size = REQUEST * min(MAX_REQUESTS, -(-n_frames // REQUEST))
        if self.n_frames:  # no reader of libsndfile has more, so no request of it is cut
            size = min(size, max(REQUEST, self.n_frames - self._n_read))
        samples = np.empty((size, self.n_channels), np.float32)
        n_here = 0
        for _ in range(0, size, REQUEST):
            try:
                n_now = self._request(samples[n_here : n_here + REQUEST])
            except AudioError as error:
                n_now, self._failure = 0, error
            if not n_now:
                self._ended = True
                break
            n_here += n_now
        if n_here:
            samples = samples[:n_here]
            self._held.append(samples if n_here > MIN_USED * size else samples.copy())
            self._n_held += n_here

    def _request(self, out: NDArray[np.float32]) -> int:
        assert self._reader is not None
        try:
            n_frames = self._reader.read(out)
        except UnreadableError as error:
            seconds = self._n_read / self.sample_rate
            raise AudioError(
                f"{self.name} is damaged after about {seconds:.1f} s ({error}); copy it again, or "
                "re-encode it with a program that passes over damage"
            ) from error
        self._n_read += n_frames
        if not n_frames:
            self._check_length(self._reader)
        return n_frames

    def _check_length(self, reader: Reader) -> None:
        if not self._n_read:
            raise AudioError(
                f"{self.name} holds no samples by its header; it is empty, was cut off, or its "
                "header was never completed: repair the header, or record it again"
            )
        if promised := self.n_frames:
            n_missing = promised - self._n_read
            allowed = MAX_MISSING if reader.is_lossy else 0
            if self._n_read / promised < MIN_SHARE and n_missing > allowed:
                raise truncated(self.name, self._n_read / promised)

    def close(self) -> None:
        """Close the file; a file object passed in stays open."""
        if self._reader is not None:
            self._reader.close()
        self._audio.close()

    def __enter__(self) -> Decoder:
        """The decoder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()
