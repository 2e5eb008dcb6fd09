"""Samples that libsndfile decodes, read strictly forward."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile
from numpy.typing import NDArray

from soundsep.audio.file import AudioFile
from soundsep.audio.headers import UnreadableError, is_left_open, settle
from soundsep.audio.mpeg import find_frames, is_frame, settle_mpeg, skip_id3, skip_zeros
from soundsep.audio.ogg import is_chained_ogg
from soundsep.errors import AudioError

__all__ = ["LEAST_SHARE", "SndfileReader", "truncated"]

LEAST_SHARE = 0.99  # of the samples promised; a few lost at the end do no harm
TRIMMED = r"^ *(?:data|SSND|Data Size|riff|Riff size) *: *(\d+) \(should be (\d+)\)"
OF_ITS_OWN = r"(?i)internal|not a regular file"  # libsndfile's words for a header that confuses it
SAMPLE_DUMP = b"\xf0\x7e"  # MIDI's; reading a damaged one, libsndfile writes to standard output
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
UNKNOWN = 2**62  # frames; libsndfile says 2**63 - 1 where it does not know
FLAC = b"fLaC\0\0\0\x22"  # its beginning
READ_AHEAD = 2**16  # bytes that libFLAC may have read beyond what it decoded
RESYNC = 1024  # bytes in which libmpg123 looks for the next frame


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """One that never seeks: soundfile does after each read, which is inexact for MP3."""

    def seekable(self) -> bool:
        return False


class SndfileReader:
    """An open file as libsndfile decodes it; a `soundsep.audio.decode.Reader`.

    Args:
        file: What to read; it stays open when the reader is closed.

    Raises:
        UnreadableError: libsndfile does not read it, or not right.
        AudioError: it cannot be read at all.
    """

    def __init__(self, file: AudioFile) -> None:
        self._audio = file
        if file.peek(0, len(SAMPLE_DUMP)) == SAMPLE_DUMP:
            raise UnreadableError("a MIDI sample dump")
        with self._explained():
            skip_id3(file)
            self._share = settle(file)
            skip_zeros(file)
            if is_chained_ogg(file):
                raise UnreadableError("several Ogg streams one after the other")
            self._file = self._opened()
        self.sample_rate = int(self._file.samplerate)
        self.n_channels = int(self._file.channels)
        self.n_frames = self._frames_by_header()
        self._n_read = 0
        self.is_lossy = self._file.subtype in LOSSY

    def _opened(self) -> _Forward:
        if is_frame(self._audio):
            settle_mpeg(self._audio)
        self._audio.seek(0)
        return _Forward(self._audio)

    def read(self, n_frames: int) -> NDArray[np.float32]:
        """The next samples, (frames, channels), at most so many; none at the end.

        Raises:
            UnreadableError: the file is damaged.
            AudioError: it is cut off, or its disk failed.
        """
        with self._explained():
            try:
                block = self._decoded(n_frames)
            except soundfile.SoundFileError:
                if self._file.format != "MP3" or not self._cut_junk():
                    raise
                block = self._decoded(n_frames)
        self._n_read += len(block)
        if not len(block):
            self._check_end()
        return block

    def _decoded(self, n_frames: int) -> NDArray[np.float32]:
        n_left = int(self._file.frames) - self._n_read  # beyond, libFLAC falls over what follows
        block: NDArray[np.float32] = self._file.read(
            max(0, min(n_frames, n_left)), dtype="float32", always_2d=True
        )
        return block

    def _cut_junk(self) -> bool:
        """Whether libmpg123 met nothing but the end, with junk behind; then that is cut off.

        What it decoded on the way to the junk is lost, so it begins anew.
        """
        if self._audio.failure is not None:
            return False
        beyond = self._audio.tell()
        if find_frames(self._audio, max(0, beyond - RESYNC)) is not None:
            return False
        self._audio.narrow(0, max(0, beyond - RESYNC // 2))
        self._file.close()
        self._file = self._opened()
        n_to_skip, self._n_read = self._n_read, 0
        while self._n_read < n_to_skip:
            n_skipped = len(self._decoded(min(n_to_skip - self._n_read, 2**14)))
            if not n_skipped:
                return False
            self._n_read += n_skipped
        return True

    def _check_end(self) -> None:
        """Refuse a file of which more is left than libsndfile gives."""
        name, rest = self._audio.title, self._audio.tell()
        if self._share < LEAST_SHARE:
            raise truncated(name, self._share)
        if self._file.format == "FLAC" and _contains(self._audio, FLAC, max(4, rest - READ_AHEAD)):
            raise AudioError(
                f"{name} holds several FLAC files one after the other, of which only the first "
                "would be heard; split it, or convert it to wav"
            )
        if self._file.format == "MP3" and find_frames(self._audio, rest) is not None:
            raise AudioError(
                f"{name} goes on after the last frame that its header counts; re-encode it, or "
                "convert it to wav"
            )

    def _frames_by_header(self) -> int | None:
        file = self._file
        # libsndfile trims a length to the size of the file, and tells so only in its log.
        if trimmed := re.search(TRIMMED, file.extra_info, re.MULTILINE):
            promised, present = map(int, trimmed.groups())
            if is_left_open(promised):
                return None
            return int(file.frames * max(promised, present) / max(present, 1))
        # MP3 is a stream, and what its first frame says of the length is often an estimate.
        known = file.format != "MP3" and file.frames < UNKNOWN
        return int(file.frames / self._share) if known else None

    def close(self) -> None:
        """Let go of what libsndfile holds."""
        self._file.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            # TypeError and ValueError: soundfile's answer to odd headers
            if self._audio.failure is None:
                text = str(getattr(error, "error_string", None) or error).rstrip(".")
                if re.search(OF_ITS_OWN, text):
                    text = "its header is damaged"
                raise UnreadableError(text) from error
        if isinstance(failure := self._audio.failure, Exception):
            raise AudioError(f"{self._audio.title} cannot be read: {failure}") from failure
        if failure is not None:  # the user's interrupt
            raise failure


def truncated(name: str, share: float) -> AudioError:
    """The error for a file of which only a share is there."""
    return AudioError(
        f"{name} is truncated: only {share:.0%} of the samples that its header promises are there; "
        "copy it again, or re-encode what is left of it"
    )


def _contains(file: AudioFile, wanted: bytes, offset: int) -> bool:
    while offset < file.size:
        if wanted in file.peek(offset, 2**16 + len(wanted)):
            return True
        offset += 2**16
    return False
