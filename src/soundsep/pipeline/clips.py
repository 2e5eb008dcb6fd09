"""Events cut out of their recordings, as files of their own."""

from __future__ import annotations

import heapq
import os
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path

from soundsep.config import check_number, check_whole
from soundsep.errors import ConfigError
from soundsep.names import local_path, path_text, printable, safe_name
from soundsep.pipeline.clip_files import ClipFile, write_clips
from soundsep.pipeline.tables import N_DECIMALS
from soundsep.pipeline.timeline import Event

__all__ = ["BestEvents", "cut_clips", "label_folders", "place_clips"]

MAX_MARGIN = 3600.0  # seconds


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
