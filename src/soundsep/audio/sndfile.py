"""Samples decoded by libsndfile, read strictly forward."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile
from numpy.typing import NDArray

from soundsep.audio.extents import is_left_open
from soundsep.audio.file import AudioFile, UnreadableError
from soundsep.audio.flac import FLAC, hide_length
from soundsep.audio.headers import settle
from soundsep.audio.mpeg import (
    count_samples,
    find_frames,
    is_frame,
    settle_mpeg,
    skip_id3,
    skip_tags_at_end,
    skip_torn_frame,
)
from soundsep.audio.ogg import settle_ogg
from soundsep.errors import AudioError

__all__ = ["MIN_SHARE", "SndfileReader", "truncated"]

MIN_SHARE = 0.99  # of the samples promised; a few missing at the end do no harm
TRIMMED = r"^ *(?:data|SSND|Data Size|riff|Riff size) *: *(\d+) \(should be (\d+)\)"
# libsndfile's messages about a header that confuses it.
OF_ITS_OWN = r"(?i)internal|not a regular file|resource fork|bad (data|map) (offset|length)"
EMPTY_TAG = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)  # libsndfile overlooks a shorter one
SAMPLE_DUMP = b"\xf0\x7e"  # of MIDI; for a damaged one, libsndfile writes to standard output
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
# Formats whose header states no length: anything appended to the sound would be read as sound.
NO_LENGTH = {
    "IRCAM": "an IRCAM (BICSF)",
    "PAF": "an Ensoniq PARIS (PAF)",
    "PVF": "a Portable Voice Format (PVF)",
    "XI": "a FastTracker instrument (XI)",
}
# Types that keep the samples; for all others 16 bits are enough.
# fmt: off
KEPT_AS = {
    "PCM_24": "PCM_24", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "PCM_32": "PCM_32",
    "ALAC_32": "PCM_32", "FLOAT": "FLOAT", "DOUBLE": "FLOAT",
}
# fmt: on
MAX_DELAY = 4_096  # samples that decoders omit at both ends
MAX_PER_BYTE = 8  # samples; ADPCM of 16 kbit/s has 4, GSM 5
OPUS_RATE = 48_000  # Hz, of the positions that pages state
UNKNOWN = 2**62  # frames; libsndfile returns 2**63 - 1 for an unknown length
READ_AHEAD = 2**16  # bytes that libFLAC may have read beyond what it decoded


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A file that never seeks; soundfile does after each read, which is inexact for MP3."""

    def seekable(self) -> bool:
        return False


class SndfileReader:
    """An open file decoded by libsndfile; a `soundsep.audio.decode.Reader`.

    Args:
        file: Open file; it stays open when the reader is closed.

    Attributes:
        sample_rate: Rate of the samples, in Hz.
        n_channels: Number of channels.
        n_frames: Length by the header, in samples per channel; ``None`` if unknown.
        is_lossy: Whether the header's count may differ by the delay of a decoder.
        sample_type: Smallest type that keeps the samples, in the words of libsndfile.

    Raises:
        UnreadableError: libsndfile cannot read the file, or not correctly.
        AudioError: the file cannot be read, or its format states no length.
    """

    def __init__(self, file: AudioFile) -> None:
        self._audio = file
        self._n_promised: int | None = None
        if file.peek(0, len(SAMPLE_DUMP)) == SAMPLE_DUMP:
            raise UnreadableError("a MIDI sample dump")
        with self._explained("its header is damaged"):
            skip_id3(file)
            self._share = settle(file)
            stated = settle_ogg(file)
            self._file = self._opened()
        self.sample_rate = int(self._file.samplerate)
        self.n_channels = int(self._file.channels)
        self.n_frames = self._frames_by_header()
        self._n_read = 0
        self._check_size()
        # If damaged packets seem longer, libsndfile returns memory that nothing was written to.
        n_seen = self._file.frames * OPUS_RATE
        is_opus = self._file.subtype == "OPUS"
        if is_opus and stated is not None and n_seen > stated * self.sample_rate:
            raise UnreadableError("its packets hold more samples than its pages state")
        self.is_lossy = self._file.subtype in LOSSY
        self.sample_type = KEPT_AS.get(self._file.subtype, "PCM_16")

    def _opened(self) -> _Forward:
        file, is_mpeg = self._audio, False
        if file.peek(0, len(FLAC)) == FLAC:
            skip_tags_at_end(file)
            self._n_promised = hide_length(file)
        elif is_mpeg := is_frame(file):
            settle_mpeg(file)
            # libsndfile is not sure of bare frames, and looks in the working folder for a file such
            # as ".AppleDouble" that would say what they are.
            file.lead(EMPTY_TAG)
        file.seek(0)
        try:
            opened = _Forward(file)
        except soundfile.SoundFileError:
            if file.failure is not None or is_mpeg or not skip_torn_frame(file):
                raise
            return self._opened()
        try:
            self._check_format(opened.format, opened.subtype)
        except BaseException:
            opened.close()
            raise
        return opened

    def _check_format(self, container: str, subtype: str) -> None:
        if what := NO_LENGTH.get(container):
            raise AudioError(
                f"{self._audio.title} is {what} file, a format that does not state how long the "
                "sound is, so that anything appended to it would be heard; convert it to WAV or "
                "FLAC with the program that wrote it, or with sox"
            )
        if container == "SD2":  # only another file says that it is
            raise UnreadableError("Format not recognised")
        if subtype == "ALAC_32":  # libsndfile 1.2.2 decodes its uncompressed parts wrong
            raise UnreadableError("Apple Lossless of 32 bits")

    def read(self, out: NDArray[np.float32]) -> int:
        """Read the next samples; none at the end.

        Args:
            out: Where they are written, from its beginning.

        Shape:
            out: (frames, channels).

        Returns:
            Number of samples per channel.

        Raises:
            UnreadableError: the file is damaged.
            AudioError: the file is cut off, or cannot be read.
        """
        with self._explained("no sound follows"):
            n_left = (self._n_promised or int(self._file.frames)) - self._n_read
            n_frames = len(self._file.read(out=out[: max(0, n_left)]))
        self._n_read += n_frames
        if not n_frames:
            self._check_end()
        return n_frames

    def _flac_goes_on(self) -> bool:
        try:
            return self._n_promised is not None and len(self._file.read(1)) > 0
        except soundfile.SoundFileError:  # junk
            self._audio.check()
            return False

    def _check_size(self) -> None:
        """Refuse a length that no file of this size has; at damage some decoders never end."""
        if self._file.format in ("FLAC", "OGG", "MP3") or self._file.subtype.startswith("ALAC"):
            return
        if self._file.frames * self.n_channels > MAX_PER_BYTE * self._audio.size:
            raise UnreadableError("its header is damaged")

    def _check_end(self) -> None:
        """Refuse a file that libsndfile did not read to its end."""
        name, rest = self._audio.title, self._audio.tell()
        if self._share < MIN_SHARE:
            raise truncated(name, self._share)
        if self._file.format == "FLAC" and self._flac_goes_on():
            raise AudioError(
                f"{name} continues after the {self._n_promised} samples that its header states; "
                "re-encode it, or convert it to wav"
            )
        if self._file.format == "FLAC" and self._audio.contains(FLAC, max(4, rest - READ_AHEAD)):
            raise AudioError(
                f"{name} holds several FLAC files one after the other, of which only the first "
                "would be heard; split it, or convert it to wav"
            )
        if self._file.format == "MP3" and self._frames_are_left(rest):
            raise AudioError(
                f"{name} breaks off after {self._n_read / self.sample_rate:.1f} s, but more MPEG "
                "frames follow: it is damaged, or joined of parts that differ; convert it to wav"
            )

    def _frames_are_left(self, offset: int) -> bool:
        """Whether libmpg123 ended before the last frame, or skipped others on the way."""
        if find_frames(self._audio, offset) is not None:
            return True
        if self._n_read >= self._file.frames:  # all that the first frame counts
            return False
        n_there = count_samples(self._audio)
        return n_there - self._n_read > max(MAX_DELAY, (1 - MIN_SHARE) * n_there)

    def _frames_by_header(self) -> int | None:
        file = self._file
        # libsndfile trims a length to the size of the file, and says so only in its log.
        if trimmed := re.search(TRIMMED, file.extra_info, re.MULTILINE):
            promised, present = map(int, trimmed.groups())
            if is_left_open(promised):
                return None
            return int(file.frames * max(promised, present) / max(present, 1))
        if file.format == "FLAC":
            return self._n_promised
        # MP3 is a stream, and the length in its first frame is often an estimate.
        known = file.format != "MP3" and file.frames < UNKNOWN
        return int(file.frames / self._share) if known else None

    def close(self) -> None:
        """Release libsndfile's memory."""
        self._file.close()

    @contextmanager
    def _explained(self, internal: str) -> Iterator[None]:
        try:
            yield
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            # soundfile raises TypeError and ValueError at odd headers
            if self._audio.failure is None:
                text = str(getattr(error, "error_string", None) or error).rstrip(".")
                if re.search(OF_ITS_OWN, text):
                    text = internal
                raise UnreadableError(text) from error
        self._audio.check()


def truncated(name: str, share: float) -> AudioError:
    """The error for a truncated file.

    Args:
        name: Name of the recording.
        share: Share of the sound that is there, 0 to 1.
    """
    return AudioError(
        f"{name} is truncated: only {share:.0%} of the samples that its header promises are there; "
        "copy it again, or re-encode what is left of it"
    )
