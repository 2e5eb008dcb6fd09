"""Pieces of recordings, written as files of their own."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
from torch import Tensor

from soundsep.audio import audio_blocks
from soundsep.audio.blocks import AudioBlocks
from soundsep.audio.encode import Written
from soundsep.errors import AudioError, ConfigError
from soundsep.files import replacing
from soundsep.interrupts import interrupts_held
from soundsep.names import printable

__all__ = ["ClipFile", "write_clips"]

MAX_WAV = 2**32 - 2**16  # bytes of samples; longer clips are RF64
MAX_OPEN = 32  # clips of the same time; some systems let a process open 64 files


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A piece to cut out, and its file.

    Attributes:
        start_seconds: Start, from the beginning of the recording.
        end_seconds: End, from the beginning of the recording; the clip ends sooner if the
            recording does.
        needed_seconds: End of the event itself, from the beginning of the recording; a piece that
            is damaged before that is no file.
        path: The file.
    """

    start_seconds: float
    end_seconds: float
    needed_seconds: float
    path: Path


def write_clips(
    recording: str | os.PathLike[str], clips: Iterable[ClipFile], *, overwrite: bool
) -> Iterator[Path]:
    """Cut pieces out of one recording, which is read forward, to the last of them.

    It is read once, and once more for every `MAX_OPEN` of them that share a moment. Pieces end
    where the recording ends or, if their event was before that, is damaged.

    Args:
        recording: Path of the recording.
        clips: The pieces; those that begin after the end of the recording, or last no time, are
            left out.
        overwrite: Replace existing files; by default they are kept.

    Returns:
        An iterator that writes each file and yields its path.

    Raises:
        AudioError: the recording cannot be read; the events before the damage were cut out.
        ConfigError: a file cannot be written.
    """
    wanted = [
        clip
        for clip in clips
        if clip.start_seconds < clip.end_seconds and (overwrite or not os.path.lexists(clip.path))
    ]
    if not wanted:
        return
    put_off: list[ClipFile] = []
    try:
        yield from _write_first(recording, wanted, put_off)
    except AudioError:
        with suppress(AudioError):  # the same one
            yield from write_clips(recording, put_off, overwrite=overwrite)
        raise
    yield from write_clips(recording, put_off, overwrite=overwrite)


def _write_first(
    recording: str | os.PathLike[str], wanted: list[ClipFile], put_off: list[ClipFile]
) -> Iterator[Path]:
    """Cut out pieces in one pass, and add to ``put_off`` those for which too many are open."""
    waiting = sorted(wanted, key=lambda clip: clip.start_seconds, reverse=True)
    position = 0
    with ExitStack() as stack, audio_blocks(recording, mono=False) as blocks:
        open_clips: list[_Writer] = []
        try:
            for block in blocks:
                end = position + block.shape[1]
                while waiting and _sample(waiting[-1].start_seconds, blocks) < end:
                    if len(open_clips) == MAX_OPEN:
                        put_off.append(waiting.pop())
                        continue
                    open_clips.append(stack.enter_context(_Writer(waiting.pop(), blocks)))
                for clip in list(open_clips):
                    if clip.write(block, position):
                        open_clips.remove(clip)
                        yield clip.finish()
                position = end
                if not waiting and not open_clips:
                    break
        except AudioError:
            for clip in open_clips:
                if clip.needed <= position:
                    yield clip.finish()
            raise
        for clip in open_clips:
            yield clip.finish()


class _Writer:
    """Writes one piece of a recording; the file gets its name at the end, or is removed.

    Attributes:
        needed: Samples of the recording that have to be read for a file worth keeping.
    """

    def __init__(self, clip: ClipFile, blocks: AudioBlocks) -> None:
        self._path, self._type = clip.path, blocks.sample_type
        self._first = _sample(clip.start_seconds, blocks)
        self.needed = _sample(clip.needed_seconds, blocks)
        self._last = math.ceil(round(clip.end_seconds * blocks.sample_rate, 3))
        self._rate, self._n_channels = blocks.sample_rate, blocks.n_channels
        self._open = ExitStack()
        self._written: Written | None = None

    def __enter__(self) -> _Writer:
        """Open the file under a temporary name."""
        is_flac = self._path.suffix == ".flac"
        if is_flac and self._type not in ("PCM_16", "PCM_24"):
            self._type = "PCM_24"
        n_bytes = 4 * self._n_channels * (self._last - self._first)
        kind = "FLAC" if is_flac else "WAV" if n_bytes < MAX_WAV else "RF64"
        try:
            with self._explained():
                (temporary,) = self._open.enter_context(replacing(self._path))
                self._written = self._open.enter_context(closing(Written(temporary)))
                self._file = self._open.enter_context(
                    soundfile.SoundFile(
                        self._written, "w", self._rate, self._n_channels, self._type, format=kind
                    )
                )
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, block: Tensor, position: int) -> bool:
        """Write the part of a block from ``position`` that belongs to the piece.

        Returns:
            Whether the piece is complete.
        """
        piece = block[:, max(0, self._first - position) : self._last - position].t().numpy()
        if self._type != "FLOAT":
            # libsndfile scales by one less when it writes than when it reads.
            n_bits = int(self._type.removeprefix("PCM_"))
            most = 2.0 ** (n_bits - 1)
            scaled = np.rint(piece.astype(np.float64) * most).clip(-most, most - 1)
            piece = scaled.astype(np.int32) << (32 - n_bits)
        with self._explained():
            self._file.write(piece)
        return self._last <= position + block.shape[1]

    def finish(self) -> Path:
        """Give the file its name, and return that."""
        with self._explained():
            self._file.close()  # writes the encoder's last bytes
        with self._explained():
            self._open.close()
        return self._path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the file if it was not finished."""
        with suppress(OSError, soundfile.SoundFileError):
            self._open.__exit__(kind, error, traceback)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with interrupts_held():  # libsndfile calls `Written`, and would drop an exception
                try:
                    yield
                finally:
                    if self._written is not None:  # its reason comes before libsndfile's
                        self._written.check()
        # AssertionError: raised by soundfile when the disk took less than it was given
        except (OSError, soundfile.SoundFileError, AssertionError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"cannot write {printable(str(self._path))}: {reason}") from error


def _sample(seconds: float, blocks: AudioBlocks) -> int:
    return math.floor(round(seconds * blocks.sample_rate, 3))
