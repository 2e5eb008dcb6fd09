"""Files, bytes and file objects to checked samples, block by block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import soundfile

from soundsep.audio.checks import Samples, check_format, check_samples
from soundsep.audio.file import Source
from soundsep.audio.ogg import is_chained_ogg
from soundsep.errors import AudioError

__all__ = ["Decoder"]

LEAST_SHARE = 0.99  # of the samples promised; a few lost at the end do no harm
TRIMMED = r"^ *(?:data|SSND|Data Size|riff|Riff size) *: *(\d+) \(should be (\d+)\)"
# Pipes and recorders write one of these, less the header and the rest of a block, where they do not
# know the length; a plain WAV may well have any other up to 4 GiB.
LEFT_OPEN, LEFT_OPEN_WITHIN = (2**31, 2**32, 2**63, 2**64), 2**13
OF_ITS_OWN = r"(?i)internal|not a regular file"  # libsndfile's words for a header that confuses it
SAMPLE_DUMP = b"\xf0\x7e"  # MIDI's; reading a damaged one, libsndfile writes to standard output


class Decoder:
    """An open recording, decoded as it is read: a header that promises terabytes costs nothing.

    Args:
        audio: A path, the bytes of a file, or a binary file object.

    Attributes:
        name: For messages.
        sample_rate: In Hz.
        n_channels: Their number.
        n_frames: Length by the header, in samples a channel; ``None`` where it does not know.

    Raises:
        AudioError: there is no such file, or it is not audio.
    """

    def __init__(self, audio: Any) -> None:
        self._source = Source(audio)
        self.name = self._source.title
        try:
            self._file = self._opened()
            check_format(self.name, self._file.channels, self._file.samplerate)
        except BaseException:
            self.close()
            raise
        self.sample_rate = int(self._file.samplerate)
        self.n_channels = int(self._file.channels)
        self.n_frames = self._frames_by_header()
        self._n_read = 0

    def read(self, n_frames: int) -> Samples:
        """The next samples, at most ``n_frames``; none at the end.

        Shape:
            Returns (channels, time).

        Raises:
            AudioError: the file is damaged, cut off or empty, or holds NaN or Inf.
        """
        with self._explained():
            block = self._file.read(n_frames, dtype="float32", always_2d=True)
        self._n_read += block.shape[0]
        if block.shape[0]:
            check_samples(self.name, block)
        else:
            self._check_length()
        return np.ascontiguousarray(block.T)

    def _opened(self) -> soundfile.SoundFile:
        start = bytearray(len(SAMPLE_DUMP))
        self._source.readinto(start)
        self._source.seek(0)
        if start == SAMPLE_DUMP:
            raise self._refusal("a MIDI sample dump")
        with self._explained():
            chained = is_chained_ogg(self._source)
            self._source.seek(0)
            file = soundfile.SoundFile(self._source)
        if chained:
            file.close()
            raise AudioError(
                f"{self.name} holds several Ogg streams one after the other, of which only the "
                "first would be heard; convert it to wav or flac"
            )
        return file

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            # TypeError and ValueError: soundfile's answer to odd headers
            if self._source.failure is None:
                raise self._refusal(getattr(error, "error_string", None) or error) from error
        if isinstance(failure := self._source.failure, Exception):
            raise AudioError(f"{self.name} cannot be read: {failure}") from failure
        if failure is not None:  # the user's interrupt
            raise failure

    def _refusal(self, reason: object) -> AudioError:
        text = str(reason).rstrip(".")
        if re.search(OF_ITS_OWN, text):
            text = "its header is damaged"
        return AudioError(
            f"{self.name} cannot be read as audio ({text}); expected wav, flac, ogg, mp3, aiff, "
            "caf, au or another format of libsndfile: check the file, or convert it to one of them"
        )

    def _check_length(self) -> None:
        if not self._n_read:
            raise AudioError(
                f"{self.name} holds no samples by its header; it is empty, was cut off, or its "
                "header was never completed: repair the header, or record it again"
            )
        promised = self.n_frames
        if promised and (share := self._n_read / promised) < LEAST_SHARE:
            raise AudioError(
                f"{self.name} is truncated: only {share:.0%} of the samples that its header "
                "promises are there; copy it again, or re-encode what is left of it"
            )

    def _frames_by_header(self) -> int | None:
        file = self._file
        # libsndfile trims a length to the size of the file, and tells so only in its log.
        if trimmed := re.search(TRIMMED, file.extra_info, re.MULTILINE):
            promised, present = map(int, trimmed.groups())
            if any(0 <= largest - promised <= LEFT_OPEN_WITHIN for largest in LEFT_OPEN):
                return None
            return int(file.frames * max(promised, present) / max(present, 1))
        # MP3 is a stream, and what its first frame says of the length is often an estimate. A
        # length that is not known at all is near 2**63.
        known = file.format != "MP3" and file.frames < 2**62
        return int(file.frames) if known else None

    def close(self) -> None:
        """Let go of the file; one that was given open stays open."""
        if hasattr(self, "_file"):
            self._file.close()
        self._source.close()

    def __enter__(self) -> Decoder:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
