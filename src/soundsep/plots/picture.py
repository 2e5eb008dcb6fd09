"""The options that all pictures of a recording share, and the first and last steps of drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from soundsep.audio import AudioInput
from soundsep.plots.canvas import new_figure, save_figure, set_time_axis, set_title
from soundsep.plots.spectrogram import Excerpt, load_excerpt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["HEIGHT", "WIDTH", "Picture", "PictureOptions"]

WIDTH, HEIGHT = 9.0, 4.5  # inches


class PictureOptions(TypedDict, total=False):
    """Options of every picture of a recording.

    Attributes:
        sample_rate: Rate of an array, in Hz; files state their own.
        start_seconds: Start of the part shown; by default that of the recording.
        duration_seconds: Length of the part shown; by default all.
        title: Title of the picture; by default the name of the file.
        path: File to write, in the format of its ending (png, pdf, svg...).
    """

    sample_rate: int | None
    start_seconds: float
    duration_seconds: float | None
    title: str | None
    path: str | Path | None


@dataclass
class Picture:
    """A figure of a recording, made only if it can be written.

    Attributes:
        audio: Anything `soundsep.load_audio` takes.
        height: Height of the picture, in inches.
        width: Width of the picture, in inches.
        sample_rate: As in `PictureOptions`, like the next four.
        start_seconds: Start of the part shown.
        duration_seconds: Length of the part shown; ``None`` for all.
        title: Title of the picture; ``None`` for the name of the file.
        path: File to write, if any.
        figure: Figure to draw on, empty at first.

    Raises:
        DependencyError: matplotlib is not installed.
        ConfigError: ``path`` does not end like a format that matplotlib writes.
    """

    audio: AudioInput
    height: float = HEIGHT
    width: float = field(default=WIDTH, kw_only=True)
    sample_rate: int | None = field(default=None, kw_only=True)
    start_seconds: float = field(default=0.0, kw_only=True)
    duration_seconds: float | None = field(default=None, kw_only=True)
    title: str | None = field(default=None, kw_only=True)
    path: str | Path | None = field(default=None, kw_only=True)
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        self.figure = new_figure(self.path, self.width, self.height)

    def excerpt(self, target_rate: int | None = None) -> Excerpt:
        """The part of the recording that is shown, as one channel.

        Args:
            target_rate: Rate to resample to, in Hz; by default the recording's own.

        Raises:
            AudioError: the recording cannot be read.
            ConfigError: the part lies outside the recording.
        """
        return load_excerpt(
            self.audio,
            sample_rate=self.sample_rate,
            start_seconds=self.start_seconds,
            duration_seconds=self.duration_seconds,
            target_rate=target_rate,
        )

    def finish(self, excerpt: Excerpt, axes: Axes, *, top: Axes | None = None) -> Figure:
        """Add time axis and title, and write the figure if it has a file.

        Args:
            excerpt: Part of the recording that is shown.
            axes: Lowest axes.
            top: Highest axes, if there are several.

        Raises:
            ConfigError: the file cannot be written.
        """
        set_time_axis(axes, excerpt.start_seconds, excerpt.end_seconds)
        set_title(axes if top is None else top, self.title, self.audio)
        return save_figure(self.figure, self.path)
