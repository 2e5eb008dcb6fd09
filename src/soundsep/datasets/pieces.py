"""Pieces of recordings: each recording is read once, forward, for all pieces of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from soundsep.audio import audio_blocks, load_audio
from soundsep.audio.load import MAX_SAMPLES
from soundsep.datasets.array_cache import audio_digest
from soundsep.digests import digest
from soundsep.errors import AudioError

__all__ = ["Piece", "all_unusable", "audio_keys", "load_pieces", "spread_pieces"]

MAX_LISTED = 5  # of the recordings that cannot be used


class Piece(NamedTuple):
    """Part of a recording.

    Attributes:
        path: The recording.
        start_seconds: Start, from the beginning of the recording.
        end_seconds: End; ``None`` for that of the recording.
    """

    path: Path
    start_seconds: float = 0.0
    end_seconds: float | None = None

    def __str__(self) -> str:
        """The path and the times."""
        end = "the end" if self.end_seconds is None else f"{self.end_seconds:g} s"
        return f"{self.path} ({self.start_seconds:g} s to {end})"


def audio_keys() -> Callable[[Path | Piece], str]:
    """A function that gives 64 digits for a file's bytes, or for those and the times of a piece.

    It reads a file once, however many of its pieces are asked for, and raises an `AudioError` for
    one that cannot be read.
    """
    of_file = cache(audio_digest)

    def key(audio: Path | Piece) -> str:
        if not isinstance(audio, Piece):
            return of_file(audio)
        return digest(f"{of_file(audio.path)} {audio.start_seconds} {audio.end_seconds}")

    return key


def all_unusable(faults: Sequence[AudioError], n_all: int, what: str) -> AudioError:
    """One error for all recordings that cannot be used; it gives the first few faults.

    Args:
        faults: Errors of the recordings, at least one.
        n_all: Number of recordings, with those that can be used.
        what: Plural that the message calls them, such as ``"clips"``.

    Examples:
        >>> faults = [AudioError("a.wav is empty"), AudioError("b.wav is HTML")]
        >>> print(all_unusable(faults, 9, "clips"))
        2 of 9 clips cannot be used: (1) a.wav is empty; (2) b.wav is HTML
    """
    if len(faults) == 1:
        return faults[0]
    rest = len(faults) - MAX_LISTED
    told = [f"({i}) {fault}" for i, fault in enumerate(faults[:MAX_LISTED], 1)]
    told += [f"and {rest} more"] if rest > 0 else []
    return AudioError(f"{len(faults)} of {n_all} {what} cannot be used: {'; '.join(told)}")


def spread_pieces(path: Path, *, seconds: float, n_most: int) -> list[Path | Piece]:
    """Pieces spread evenly over a recording, or the recording if it is not longer than they are.

    Args:
        path: The recording.
        seconds: Length of a piece.
        n_most: Number of pieces.

    Raises:
        AudioError: the recording cannot be read.
    """
    with audio_blocks(path) as blocks:
        length = blocks.duration_seconds
    if length is None or length <= n_most * seconds:
        return [path]
    starts = (round(i * (length - seconds) / (n_most - 1), 2) for i in range(n_most))
    return [Piece(path, start, round(start + seconds, 2)) for start in starts]


def load_pieces(
    audio: Iterable[Path | Piece], *, target_rate: int
) -> Iterator[tuple[Path | Piece, Tensor | AudioError]]:
    """The waveforms of files and of pieces, or what is wrong with them.

    A piece holds the samples that the whole recording, loaded at this rate, has in its place.

    Args:
        audio: Files and pieces; each distinct one is given once.
        target_rate: Rate wanted, in Hz.

    Returns:
        Each and its waveform (time,). Files come in their order; the pieces of one recording
        follow the first of them, by their end.
    """
    pieces = defaultdict[Path, list[Piece]](list)
    distinct = list(dict.fromkeys(audio))
    for one in distinct:
        if isinstance(one, Piece):
            pieces[one.path].append(one)
    for one in distinct:
        if isinstance(one, Piece):
            if one.path in pieces:
                yield from _cut(one.path, pieces.pop(one.path), target_rate)
            continue
        try:
            waveform = load_audio(one, target_rate=target_rate)[0]
        except AudioError as error:
            yield one, error
        else:
            yield one, waveform


def _cut(
    path: Path, pieces: Sequence[Piece], rate: int
) -> Iterator[tuple[Piece, Tensor | AudioError]]:
    waiting = sorted(pieces, key=lambda piece: piece.start_seconds, reverse=True)
    open_pieces: dict[Piece, list[Tensor]] = {}
    position = 0
    try:
        with audio_blocks(path, target_rate=rate) as blocks:
            for block in blocks:
                end = position + len(block)
                while waiting and _first(waiting[-1], rate) < end:
                    open_pieces[waiting.pop()] = []
                for piece, parts in list(open_pieces.items()):
                    first, last = max(0, _first(piece, rate) - position), _last(piece, rate)
                    parts.append(block[first : None if last is None else last - position])
                    if sum(map(len, parts)) > MAX_SAMPLES:
                        del open_pieces[piece]
                        yield piece, AudioError(f"{piece} is too long to be held in memory")
                    elif last is not None and last <= end:
                        yield piece, torch.cat(open_pieces.pop(piece))
                position = end
                if not waiting and not open_pieces:
                    break
    except AudioError as error:
        yield from ((piece, error) for piece in (*open_pieces, *waiting))
        return
    yield from ((piece, torch.cat(parts)) for piece, parts in open_pieces.items())
    for piece in waiting:
        yield (
            piece,
            AudioError(
                f"{piece} is no part of the recording, which ends at {position / rate:g} s: the "
                "table is another recording's, or its times are not in seconds"
            ),
        )


def _first(piece: Piece, rate: int) -> int:
    return math.floor(round(piece.start_seconds * rate, 3))


def _last(piece: Piece, rate: int) -> int | None:
    return None if piece.end_seconds is None else math.ceil(round(piece.end_seconds * rate, 3))
