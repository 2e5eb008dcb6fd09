"""The events of a recording, drawn over its spectrogram."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from typing_extensions import Unpack

from soundsep.audio import AudioInput
from soundsep.names import printable
from soundsep.pipeline.timeline import Event
from soundsep.plots.bands import draw_bands, mel_centres, mel_columns, mel_config
from soundsep.plots.picture import Picture, PictureOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["name_rows", "plot_events"]

# Smaller than other pictures, so that names can be read on a phone.
WIDTH, HEIGHT = 7.2, 3.8  # inches
# Each contrasts with the spectrogram's black, purple, orange and yellow, and with black text.
COLOURS = ("#7fdbff", "#7cfc9a", "#ffffff", "#ffb3de", "#ffe45e", "#b8c4ff")
FONT_SIZE = 11  # points
LINE_WIDTH = 1.8
PADDING = 3  # around a name
LETTER_INCHES = 0.1  # width of a letter at that size, rounded up
SPECTROGRAM_INCHES = 6.3  # width without the axis
MAX_ROWS = 6  # of names, from the top
ROW_HEIGHT = 0.095  # as a share of the picture


def plot_events(
    audio: AudioInput,
    events: Iterable[Event],
    **options: Unpack[PictureOptions],
) -> Figure:
    """Mel spectrogram, with a named box around every event.

    A label has one colour. Where events are so dense that names would overlap, some boxes have no
    name.

    Args:
        audio: Anything `soundsep.load_audio` takes; channels are mixed.
        events: From `soundsep.Pipeline.events`; those outside the part shown are left out.
        options: Part, title and file of the picture, see `PictureOptions`.

    Raises:
        AudioError: the recording cannot be read.
        ConfigError: the part lies outside the recording, an array has no ``sample_rate``, or
            ``path`` cannot be written.
        DependencyError: matplotlib is not installed.
    """
    picture = Picture(audio, HEIGHT, width=WIDTH, **options)
    excerpt = picture.excerpt()
    config = mel_config(excerpt.rate)
    axes = picture.figure.add_subplot()
    columns = mel_columns(excerpt, config)
    draw_bands(picture.figure, axes, columns, mel_centres(config), colour_bar=False)
    axes.set_ylabel("frequency (Hz), mel scale")
    shown = [
        Event(
            max(event.start_seconds, excerpt.start_seconds),
            min(event.end_seconds, excerpt.end_seconds),
            printable(event.label),
            event.score,
        )
        for event in events
        if event.end_seconds > excerpt.start_seconds and event.start_seconds < excerpt.end_seconds
    ]
    _draw_events(axes, shown, excerpt.start_seconds, excerpt.end_seconds)
    return picture.finish(excerpt, axes)


def name_rows(spans: Iterable[tuple[float, float]]) -> list[int | None]:
    """A free row for the name of each span, 0 at the top; ``None`` if all are taken.

    Args:
        spans: Start and end of each, by start.

    Examples:
        >>> name_rows([(0.0, 9.0), (5.0, 6.0), (6.0, 9.0), (8.0, 9.0)])
        [0, 1, 1, 2]
    """
    ends: list[float] = []  # of the last span in every row
    rows: list[int | None] = []
    for start, end in spans:
        row = next((row for row, taken in enumerate(ends) if taken <= start), len(ends))
        if row < MAX_ROWS:
            ends[row : row + 1] = [end]
        rows.append(row if row < MAX_ROWS else None)
    return rows


def _draw_events(axes: Axes, events: list[Event], start: float, end: float) -> None:
    """A box for every event of a picture from start to end, up to the row of its name."""
    from matplotlib.patches import Rectangle

    events = sorted(events, key=lambda event: event.start_seconds)
    labels = list(dict.fromkeys(event.label for event in events))
    letter_seconds = (end - start) * LETTER_INCHES / SPECTROGRAM_INCHES
    spans = []
    for event in events:
        name_seconds = letter_seconds * len(event.label)
        first = max(start, min(event.start_seconds, end - name_seconds))
        spans.append((first, max(event.end_seconds, first + name_seconds)))
    across = axes.get_xaxis_transform()  # seconds by shares of the height
    for event, row, (first, _) in zip(events, name_rows(spans), spans, strict=True):
        colour = COLOURS[labels.index(event.label) % len(COLOURS)]
        width = event.end_seconds - event.start_seconds
        top = 1 - ROW_HEIGHT * (MAX_ROWS if row is None else row)
        box = Rectangle((event.start_seconds, 0.0), width, top, transform=across)
        box.set(fill=False, edgecolor=colour, linewidth=LINE_WIDTH)
        axes.add_patch(box)
        if row is not None:
            axes.annotate(
                event.label,
                (first, top),
                xycoords=across,
                xytext=(PADDING, -PADDING),
                textcoords="offset points",
                verticalalignment="top",
                fontsize=FONT_SIZE,
                color="black",
                bbox={"facecolor": colour, "edgecolor": "none", "pad": PADDING},
                parse_math=False,
            )
