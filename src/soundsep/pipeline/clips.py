"""Events cut out of their recordings, as files of their own."""

from __future__ import annotations

import heapq
import math
import os
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
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
from soundsep.config import check_number, check_whole
from soundsep.errors import AudioError, ConfigError
from soundsep.files import replacing
from soundsep.interrupts import interrupts_held
from soundsep.names import local_path, path_text, printable, safe_name
from soundsep.pipeline.tables import N_DECIMALS
from soundsep.pipeline.timeline import Event

__all__ = [
    "BestEvents",
    "ClipFile",
    "cut_clips",
    "label_folders",
    "place_clips",
    "write_clips",
]

MAX_WAV = 2**32 - 2**16  # bytes of samples; longer clips are RF64
MAX_MARGIN = 3600.0  # seconds
MAX_OPEN = 32  # clips of the same time; some systems let a process open 64 files


class BestEvents:
    """Keeps the events with the highest scores of each label.

    Args:
        max_per_label: Events to keep per label; all by default.
    """

    def __init__(self, max_per_label: int | None = None) -> None:
        self._most = (
            None if max_per_label is None else check_whole("max_per_label", max_per_label, least=1)
        )
        self._kept: dict[str, list[tuple[float, int, str, Event]]] = defaultdict(list)
        self._n_seen = 0

    def add(self, path: str, event: Event) -> None:
        """Add an event of a recording; among equal scores the first wins."""
        self._n_seen += 1
        heap, (_, score) = self._kept[event.label], _listed(event)
        heapq.heappush(heap, (score, -self._n_seen, path, event))
        if self._most is not None and len(heap) > self._most:
            heapq.heappop(heap)

    def by_recording(self) -> dict[str, list[Event]]:
        """The events kept, by recording and start."""
        found: dict[str, list[Event]] = defaultdict(list)
        kept = (item for heap in self._kept.values() for item in heap)
        for _, _, path, event in sorted(kept, key=lambda item: -item[1]):
            found[path].append(event)
        return dict(found)


def _listed(event: Event) -> tuple[float, float]:
    """Start and score as a table of any kind holds them.

    From an event and from its row in a table, the same clips are chosen, under the same names.
    """
    row = event.to_dict()
    return round(row["start_seconds"], N_DECIMALS), round(row["score"], N_DECIMALS)


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


def cut_clips(
    path: str | os.PathLike[str],
    events: Iterable[Event],
    folder: str | os.PathLike[str],
    *,
    margin_seconds: float = 1.0,
    max_per_label: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Cut events out of a recording, at its own rate, with its channels and bits.

    Each is ``FOLDER/LABEL/RECORDING_00h03m12.50s_LABEL_0.912.wav``, with the start of the event in
    the recording and its score; FLAC stays FLAC. `soundsep.fit` takes such a folder.

    Args:
        path: The recording, read from the beginning to the last event.
        events: Events of the recording.
        folder: Created if it does not exist.
        margin_seconds: Length to include before and after each event.
        max_per_label: Cut out only this many events per label, those with the highest scores.
        overwrite: Replace existing files; by default they are kept.

    Returns:
        The files of the events, new or existing, by label and start. What begins after the end of
        the recording, or lasts no time with its margins, has none.

    Raises:
        AudioError: the recording cannot be read; the events before the damage were cut out.
        ConfigError: a file cannot be written, or two labels would share a folder.
    """
    best = BestEvents(max_per_label)
    for event in events:
        best.add(path_text(path), event)
    clips = place_clips(best.by_recording(), folder, margin_seconds=margin_seconds)
    for recording, files in clips.items():
        deque(write_clips(recording, files, overwrite=overwrite), maxlen=0)
    return [file.path for files in clips.values() for file in files if file.path.exists()]


def label_folders(labels: Iterable[str]) -> dict[str, str]:
    """The name of each label's folder, valid and distinct on every system.

    Args:
        labels: Labels of events.

    Raises:
        ConfigError: two labels would share a folder, as ``dog`` and ``dog?``, or ``Dog`` where a
            system takes both for the same.

    Examples:
        >>> label_folders(["dog", "Bark, bow-wow"])
        {'dog': 'dog', 'Bark, bow-wow': 'Bark_bow-wow'}
    """
    folders = {label: safe_name(label, max_bytes=80) for label in labels}
    first = dict[str, str]()
    for label, name in folders.items():
        if (other := first.setdefault(_alike(name), label)) != label:
            raise ConfigError(
                f"clips of {printable(other)!r} and {printable(label)!r} would share the folder "
                f"{name!r}; rename one, or cut out their events separately, into two folders"
            )
    return folders


def _alike(name: str) -> str:
    """A text that is the same for names that some system takes for the same."""
    return unicodedata.normalize("NFKC", name).casefold()


def place_clips(
    events: Mapping[str, Iterable[Event]],
    folder: str | os.PathLike[str],
    *,
    margin_seconds: float = 1.0,
    names: Mapping[str, str] | None = None,
) -> dict[str, list[ClipFile]]:
    """The files of events, with names that are distinct on every system.

    Args:
        events: Events of each recording.
        folder: Folder of all files.
        margin_seconds: Length to include before and after each event.
        names: Name of each recording in file names; its file name without suffix by default.

    Raises:
        ConfigError: the margin is out of range, or two labels would share a folder.
    """
    if not 0 <= check_number("margin_seconds", margin_seconds) <= MAX_MARGIN:
        raise ConfigError(f"margin_seconds must be from 0 to {MAX_MARGIN:g}, got {margin_seconds}")
    root, taken = local_path(folder), set[str]()
    by_recording = {recording: [*found] for recording, found in events.items()}
    folders = label_folders(event.label for found in by_recording.values() for event in found)
    placed: dict[str, list[ClipFile]] = {}
    for recording, found in by_recording.items():
        name = safe_name((names or {}).get(recording) or Path(recording).stem)
        suffix = ".flac" if Path(recording).suffix.lower() == ".flac" else ".wav"
        files = placed.setdefault(recording, [])
        for event in sorted(found, key=lambda e: (e.label, e.start_seconds)):
            label = folders[event.label]
            listed_start, score = _listed(event)
            hours, rest = divmod(round(listed_start, 2), 3600)
            begin = f"{int(hours):02}h{int(rest // 60):02}m{rest % 60:05.2f}s"
            stem = f"{name}_{begin}_{label}_{score:.3f}"
            place, number = f"{label}/{stem}", 1
            while (key := _alike(place)) in taken:
                number += 1
                place = f"{label}/{stem}_{number}"
            taken.add(key)
            start = max(0.0, event.start_seconds - margin_seconds)
            end = event.end_seconds + margin_seconds
            files.append(ClipFile(start, end, event.end_seconds, root / f"{place}{suffix}"))
    return placed


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
