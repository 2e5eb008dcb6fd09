"""The recordings of phones, browsers and cameras, read by FFmpeg, which the extra "formats" brings.

FFmpeg gets an open file and the name of one demuxer, which we choose. It probes nothing, and any
other file or address that a recording names is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from soundsep.audio.amr import skip_zeros_at_end
from soundsep.audio.boxes import counts_too_many
from soundsep.audio.contents import MOV, Contents, convert_command
from soundsep.audio.file import AudioFile, UnreadableError
from soundsep.audio.pyav import import_pyav, samples_of
from soundsep.errors import AudioError

__all__ = ["FfmpegReader"]

# The allowed encodings, by FFmpeg's names of its decoders; video is never decoded.
# fmt: off
DECODERS = (
    "aac", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "alac", "amrnb", "amrwb", "eac3",
    "flac", "gsm", "gsm_ms", "mace3", "mace6", "mp1float", "mp2float", "mp3float", "mp1", "mp2",
    "mp3", "opus", "libopus", "pcm_alaw", "pcm_bluray", "pcm_f32be", "pcm_f32le", "pcm_f64be",
    "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32be",
    "pcm_s32le", "pcm_s8", "pcm_u8", "qdm2", "qdmc", "speex", "vorbis", "wavpack", "wmalossless",
    "wmapro", "wmav1", "wmav2", "wmavoice",
)
# fmt: on
LOSSLESS = ("alac", "flac", "pcm_", "wavpack", "wmalossless")
# Demuxers that read the length of a track from the file; others guess it from the bit rate.
STATES_LENGTH = (MOV, "wv", "caf")
MATROSKA = "matroska,webm"
MAX_ALAC_FRAME = 2**17  # samples, usually 2**12; FFmpeg allocates as many as the header says
INVALID = -22  # EINVAL, the result of an impossible seek in C


class FfmpegReader:
    """The first audio track of an open file, by FFmpeg; a `soundsep.audio.decode.Reader`.

    As FFmpeg does, it removes the delay that an encoder adds at the start, and from AAC in MP4 also
    what fills up the last packet, with which a clip of 5 s would be 5.02 s long. Where the header
    counts in milliseconds, the end is right to one of them.

    Args:
        file: Open file; it stays open when the reader is closed.
        contents: Kind of the file, with its demuxer.

    Attributes:
        sample_rate: Rate of the decoded samples in Hz, which may be twice that of the header.
        n_channels: Number of channels.
        n_frames: Length by the header, in samples per channel; ``None`` if it states none.
        is_lossy: Whether the header's count may differ by the delay of a decoder.
        sample_type: Smallest type that keeps the samples, in the words of libsndfile.

    Raises:
        AudioError: PyAV is not installed, or the file has no sound that FFmpeg decodes.
    """

    def __init__(self, file: AudioFile, contents: Contents) -> None:
        self._name, self._what = file.title, contents.what
        self._av: Any = import_pyav(self._name, contents)
        self._file = file
        self.sample_rate = self.n_channels = 0
        self._held: list[NDArray[np.float32]] = []  # (frames, channels), not given yet
        self._n_held = self._n_last = 0
        self._n_decoded = 0
        self._damage: Exception | None = None
        self._error: Exception | None = None  # raised once what was decoded before it is given
        self._container: Any = None
        self.n_frames: int | None = None
        demuxer = str(contents.demuxer)
        try:
            with self._explained():
                self._open(demuxer)
                while not self._n_held and self._advance():
                    pass
            if not self._n_held:
                raise UnreadableError(_reason(self._damage or "it holds no samples"))
        except UnreadableError as error:
            self.close()
            raise AudioError(
                f"{self._name}, {self._what}, cannot be read as audio ({error}); check the file, "
                f"or try: {convert_command(self._name)}"
            ) from error
        except BaseException:
            self.close()
            raise
        self.n_frames = self._length(demuxer)

    def read(self, out: NDArray[np.float32]) -> int:
        """Read the next samples; none at the end.

        Args:
            out: Where they are written, from its beginning.

        Shape:
            out: (frames, channels).

        Returns:
            Number of samples per channel.

        Raises:
            UnreadableError: the file is damaged here, or changes its rate or channels.
            AudioError: the file cannot be read.
        """
        if self._error is None:
            try:
                with self._explained():
                    while self._n_held - self._n_last < len(out) and self._advance():
                        pass
            except (AudioError, UnreadableError) as error:
                self._error, self._n_last = error, 0
        if self._error is not None and not self._n_held:
            raise self._error
        held = np.concatenate(self._held)
        n_frames = min(len(out), self._n_held - self._n_last)
        out[:n_frames] = held[:n_frames]
        self._held, self._n_held = [held[n_frames:]], self._n_held - n_frames
        return n_frames

    def close(self) -> None:
        """Release FFmpeg's memory; the file stays open."""
        if self._container is not None:
            self._container.close()

    def _open(self, demuxer: str) -> None:
        if demuxer == MOV and counts_too_many(self._file):
            raise UnreadableError("its header counts more samples than the file has bytes")
        if demuxer == "amr":
            skip_zeros_at_end(self._file)
        self._file.seek(0)
        self._container = self._av.open(
            _File(self._file),
            "r",
            format=demuxer,
            container_options={
                "protocol_whitelist": "none",
                "format_whitelist": demuxer,
                "codec_whitelist": ",".join(DECODERS),
            },
            metadata_errors="replace",
            io_open=_refuse,
        )
        self._packets = self._first_track()
        self._is_filled_up = (demuxer, self._track.codec_context.codec.name) == (MOV, "aac")

    def _first_track(self) -> Iterator[Any]:
        if not self._container.streams.audio:
            raise AudioError(
                f"{self._name}, {self._what}, has no audio track; it is a video without sound, or "
                "was cut off"
            )
        self._track = self._container.streams.audio[0]
        decoder = self._track.codec_context
        if decoder is None or decoder.codec.name not in DECODERS:
            found = "an unknown codec" if decoder is None else decoder.codec.name
            raise UnreadableError(f"its sound is encoded as {found}, which is not read")
        if decoder.codec.name == "alac" and _alac_frame(decoder.extradata) > MAX_ALAC_FRAME:
            raise UnreadableError("its header is damaged")
        decoder.thread_count = 1
        self.is_lossy = not decoder.codec.name.startswith(LOSSLESS)
        self.sample_type = "PCM_16" if self.is_lossy else "PCM_24"
        packets: Iterator[Any] = self._container.demux(self._track)
        return packets

    def _advance(self) -> bool:
        """Decode one more packet; False at the end.

        A packet that cannot be decoded is damage, except for the last one, which a recorder may not
        have finished.
        """
        packet = next(self._packets, None)
        if packet is None:
            self._end()
            return False
        if self._damage is not None and packet.size:
            raise UnreadableError(_reason(self._damage)) from self._damage
        try:
            frames = packet.decode()
        except self._av.error.EOFError:  # an older PyAV's answer when all is flushed
            return True
        except (self._av.FFmpegError, ValueError) as error:
            self._damage = error
            return True
        for frame in frames:
            if frame.samples:
                self._hold(frame)
            if frame.is_corrupt:
                self._damage = ValueError("part of its sound cannot be decoded")
        return True

    def _hold(self, frame: Any) -> None:
        rate, n_channels = int(frame.sample_rate), int(frame.layout.nb_channels)
        if not self.sample_rate:
            self.sample_rate, self.n_channels = rate, n_channels
        elif (rate, n_channels) != (self.sample_rate, self.n_channels):
            raise UnreadableError(
                f"it changes from {self.sample_rate} Hz and {self.n_channels} channels to {rate} "
                f"Hz and {n_channels}"
            )
        self._held.append(samples_of(frame, n_channels, self._av.audio.plane.AudioPlane))
        self._n_held += frame.samples
        self._n_decoded += frame.samples
        self._n_last = frame.samples

    def _end(self) -> None:
        """Take what fills up the last packet from its samples, which were kept back until now."""
        n_more = self._n_decoded - (self.n_frames or self._n_decoded)
        if self._is_filled_up and 0 < n_more < self._n_last:
            self._held = [np.concatenate(self._held)[:-n_more]]
            self._n_held -= n_more
        self._n_last = 0

    def _length(self, demuxer: str) -> int | None:
        track, whole = self._track.duration, self._container.duration
        if track and track > 0 and demuxer in STATES_LENGTH:
            return int(track * self._track.time_base * self.sample_rate)
        # A Matroska header states only the length of the longest track.
        alone = len(self._container.streams) == 1
        if demuxer == MATROSKA and whole and whole > 0 and not track and alone:
            return int(whole * self.sample_rate // self._av.time_base)
        return None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (AudioError, UnreadableError):
            raise
        except Exception as error:  # FFmpeg's, and whatever PyAV raises at an odd header
            if self._file.failure is None:
                raise UnreadableError(_reason(error)) from error
        if isinstance(failure := self._file.failure, Exception):
            raise AudioError(f"{self._name} cannot be read: {failure}") from failure
        if failure is not None:  # the user's interrupt
            raise failure


class _File:
    """The open file with the methods that PyAV calls; it cannot be written to."""

    def __init__(self, file: AudioFile) -> None:
        self._file = file

    def read(self, n_bytes: int) -> bytes:
        buffer = bytearray(n_bytes)
        return bytes(buffer[: self._file.readinto(buffer)])

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and offset < 0:
            return INVALID
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()


def _refuse(url: str, flags: int, options: object) -> NoReturn:
    """Refuse to open another file for FFmpeg."""
    raise PermissionError("it refers to another file, which is not opened")


def _alac_frame(cookie: bytes | None) -> int:
    """Samples per frame by the header of Apple Lossless."""
    return int.from_bytes((cookie or b"")[12:16], "big")


def _reason(error: object) -> str:
    """FFmpeg's message without its number and the made-up name of the file."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    text = getattr(error, "strerror", None) or str(error)
    return re.sub(r"^\[Errno -?\d+\] ", "", text).lower().rstrip(".")
