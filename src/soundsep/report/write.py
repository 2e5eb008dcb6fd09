"""Write a page of events and their recordings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from soundsep.audio import recording_start
from soundsep.config import check_choice, check_number, check_whole
from soundsep.errors import AudioError, ConfigError
from soundsep.files import saving
from soundsep.names import local_path, path_text, printable
from soundsep.pipeline.event_table import TimedEvent
from soundsep.pipeline.events import Events
from soundsep.pipeline.timeline import Event
from soundsep.plots.bands import mel_centres
from soundsep.plots.canvas import hz_ticks
from soundsep.progress import progress_bar
from soundsep.report.opus import BYTES_PER_SECOND
from soundsep.report.page import data_json, page
from soundsep.report.scan import Scan, scan
from soundsep.report.spans import Span, choose_spans
from soundsep.report.spectrum import N_BANDS, mel_settings
from soundsep.report.tiles import TILE_COLUMNS, colour_steps, overview, tiles

__all__ = ["MAX_BYTES", "write_report"]

MAX_BYTES = 24_000_000  # of a page
MIN_BYTES = 1_000_000
MAX_COLUMNS = 100_000  # of all spectrograms
MIN_COLUMNS = 256  # of one
COLUMN_SHARE = 0.4  # largest share of the page for pictures
PAGE_BYTES = 100_000  # style, scripts and all other fixed parts
IN_BASE64 = 4 / 3
COLUMN_BYTES = IN_BASE64 * (N_BANDS // 2 + 1)  # at most, and the overview is smaller

Found = Events | Iterable[Events] | Iterable[TimedEvent] | Mapping[str, Iterable[Event]]


def write_report(
    events: Found,
    path: str | Path,
    *,
    title: str | None = None,
    margin_seconds: float = 2.0,
    max_bytes: int = MAX_BYTES,
    time_pattern: str | None = None,
    channel: int | None = None,
    errors: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> dict[str, str]:
    """Write one page in which events can be seen, heard, corrected and saved again.

    The page needs no network and no other file. It holds the spectrograms, and the sound of the
    events with the best scores of every label, as far as ``max_bytes`` allows; all others are links
    to the recordings, relative to the page.

    Args:
        events: Results of `soundsep.Pipeline.events` for one recording or several, those of
            `soundsep.pipeline.read_events`, or events by the path of their recording.
        path: Page to write; an existing one is replaced.
        title: Title of the page; by default the name of the recording, or of the first and how
            many more there are.
        margin_seconds: Sound to add before and after each event.
        max_bytes: Largest size of the page, at least 1 MB.
        time_pattern: Format of the time in names, as for `soundsep.audio.recording_start`.
        channel: Show and play only this channel, counted from 0; by default all are mixed.
        errors: ``"raise"`` stops at the first recording that cannot be read at all; ``"skip"``
            leaves such recordings and their events out. A damaged one is shown up to the damage.
        progress: Show a progress bar over the recordings, if there is a terminal.

    Returns:
        The recordings that were left out, and why.

    Raises:
        AudioError: a recording cannot be read at all, and ``errors`` is ``"raise"``.
        ConfigError: there is no recording, none can be read, there are more events than fit, or
            the page cannot be written.

    Examples:
        >>> from soundsep import Pipeline, example  # doctest: +SKIP
        >>> pipe = Pipeline.from_pretrained("scenes50-mn04")  # doctest: +SKIP
        >>> write_report(pipe.events(example("night")), "night.html")  # doctest: +SKIP
    """
    page_path = local_path(path)
    check_number("margin_seconds", margin_seconds, least=0, most=10)
    check_whole("max_bytes", max_bytes, least=MIN_BYTES)
    check_choice("errors", errors, ("raise", "skip"))
    found = _by_recording(events)
    if not found:
        raise ConfigError("there is no recording to report; events need the path of theirs")
    starts = {recording: recording_start(recording, pattern=time_pattern) for recording in found}
    found = _in_time(found, starts)
    listed = _listed(found)
    room = max_bytes - PAGE_BYTES - len(data_json(listed))
    room -= sum(1_000 + 6 * len(recording) for recording in found)
    n_columns = int(min(MAX_COLUMNS, COLUMN_SHARE * room / COLUMN_BYTES)) // len(found) // 2 * 2
    if n_columns < MIN_COLUMNS:
        raise ConfigError(
            f"{len(listed['events'])} events of {len(found)} recordings do not fit into a page of "
            f"{max_bytes / 1e6:.0f} MB; report fewer, such as with a higher min_score, or in parts"
        )
    n_most = n_columns + (TILE_COLUMNS if n_columns > TILE_COLUMNS else 0)  # with the overview
    media = _Media(room - int(n_most * len(found) * COLUMN_BYTES))
    spans = choose_spans(
        found,
        margin_seconds=margin_seconds,
        max_seconds=max(0, media.left) / IN_BASE64 / BYTES_PER_SECOND,
    )
    shown, skipped = [], dict[str, str]()
    for recording in progress_bar(list(found), unit="file", desc="reading", progress=progress):
        try:
            read = scan(recording, spans.get(recording, []), max_columns=n_columns, channel=channel)
        except AudioError as error:
            if errors == "raise":
                raise
            skipped[recording] = str(error)
            del found[recording]
            continue
        shown.append(_recording(recording, read, starts[recording], page_path, media))
    if not shown:
        raise ConfigError(f"no recording can be read: {next(iter(skipped.values()))}")
    more = f" and {len(shown) - 1} more" if len(shown) > 1 else ""
    title = title or f"{shown[0]['name']}{more}"
    data = data_json({"title": title, "recordings": shown} | _listed(found))
    with saving(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(page(printable(title), data, media.items))
    return skipped


class _Media:
    """Pictures and sounds, and the bytes left for sounds."""

    def __init__(self, left: int) -> None:
        self.items: list[tuple[str, bytes]] = []
        self.left = left

    def add(self, content: bytes) -> str:
        self.items.append((f"m{len(self.items)}", content))
        return self.items[-1][0]

    def add_clips(self, clips: Sequence[tuple[Span, bytes]]) -> Iterator[list[Any]]:
        for (start, end), content in clips:
            n_bytes = int(IN_BASE64 * len(content)) + 80
            if n_bytes <= self.left:
                self.left -= n_bytes
                yield [round(start, 4), round(end, 4), self.add(content)]


def _by_recording(events: Found) -> dict[str, list[Event]]:
    if isinstance(events, Mapping):
        return {path_text(path): list(group) for path, group in events.items()}
    found: dict[str, list[Event]] = {}
    for item in [events] if isinstance(events, Events) else events:
        if isinstance(item, Events):
            if item.path is None:
                raise ConfigError("an array or bytes cannot be reported; write a file first")
            found.setdefault(item.path, []).extend(item)
        elif isinstance(item, TimedEvent):
            if not item.path:
                raise ConfigError("an event does not tell its recording; use a table with paths")
            found.setdefault(item.path, []).append(item.event)
        else:
            raise ConfigError(
                "expected events of a pipeline, of read_events, or events by the path of their "
                f"recording, got {type(item).__name__}"
            )
    return found


def _in_time(
    found: dict[str, list[Event]], starts: Mapping[str, datetime | None]
) -> dict[str, list[Event]]:
    """The recordings by the clock, which the page shows; as given if one does not tell it."""
    told = [(start.replace(tzinfo=None), path) for path, start in starts.items() if start]
    if len(told) < len(found):
        return found
    return {path: found[path] for _, path in sorted(told, key=lambda one: one[0])}


def _listed(found: Mapping[str, Iterable[Event]]) -> dict[str, list[Any]]:
    """The page's data of all labels and events."""
    labels = sorted({event.label for group in found.values() for event in group})
    numbers = {label: number for number, label in enumerate(labels)}
    rows = [
        [number, *_rounded(event), numbers[event.label], round(event.score, 4)]
        for number, group in enumerate(found.values())
        for event in sorted(group, key=lambda e: e.start_seconds)
    ]
    return {"labels": labels, "events": rows}


def _rounded(event: Event) -> tuple[float, float]:
    return round(event.start_seconds, 4), round(event.end_seconds, 4)


def _recording(
    path: str, read: Scan, start: datetime | None, page_path: Path, media: _Media
) -> dict[str, Any]:
    """The page's data of a recording, without its events."""
    steps = colour_steps(read.levels)
    small, group = overview(steps)
    places, names = hz_ticks(mel_centres(mel_settings(read.rate)))
    return {
        "name": printable(Path(path).name),
        "path": path,
        "link": _link(path, page_path),
        "seconds": round(read.duration_seconds, 4),
        "start": None if start is None else _clock(start),
        "fault": read.fault and printable(read.fault),
        "ticks": [[(p + 0.5) / N_BANDS, name] for p, name in zip(places, names, strict=True)],
        "columnSeconds": read.column_seconds,
        "overview": [media.add(small), group],
        "tiles": [media.add(tile) for tile in tiles(steps)] if group > 1 else [],
        "clips": list(media.add_clips(read.clips)),
    }


def _clock(start: datetime) -> list[Any]:
    """The recorder's clock at the start: ISO 8601 to the microsecond, and its offset from UTC."""
    naive = start.replace(tzinfo=None).isoformat(timespec="microseconds")
    zone = start.isoformat(timespec="seconds")[19:]
    return [naive[:23] + "Z", int(naive[23:]) / 1000, zone]


def _link(path: str, page_path: Path) -> str:
    """The path of a recording relative to the page, as an unambiguous address."""
    target = Path(path).absolute()
    try:
        near = os.path.relpath(target, page_path.absolute().parent)
    except ValueError:  # on another drive
        return target.as_uri()
    return "./" + quote(os.fsencode(Path(near).as_posix()))
