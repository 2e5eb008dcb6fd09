"""What every picture of one recording takes, and how it begins and ends."""

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
    """What every picture of a recording takes beside the recording.

    Attributes:
        sample_rate: Rate of an array, in Hz; files carry their own.
        start_seconds: Where the picture begins in the recording.
        duration_seconds: How much of it is shown; by default all.
        title: Above the picture; by default the name of the file.
        path: Where the picture is written, in the format its ending names (png, pdf, svg...).
    """

    sample_rate: int | None
    start_seconds: float
    duration_seconds: float | None
    title: str | None
    path: str | Path | None


@dataclass
class Picture:
    """A figure of a recording; whatever would stop it from being written is found at once.

    Attributes:
        audio: The recording.
        height: In inches.
        width: Width of the picture.
        figure: Empty at first.

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

        Raises:
            AudioError: it cannot be read.
            ConfigError: nothing of the recording lies in the part asked for.
        """
        return load_excerpt(
            self.audio,
            sample_rate=self.sample_rate,
            start_seconds=self.start_seconds,
            duration_seconds=self.duration_seconds,
            target_rate=target_rate,
        )

    def finish(self, excerpt: Excerpt, axes: Axes, *, top: Axes | None = None) -> Figure:
        """The figure with its time axis and title, written if it has a file.

        Args:
            excerpt: What is shown.
            axes: The lowest.
            top: The highest, if there are several.

        Raises:
            ConfigError: the file cannot be written.
        """
        set_time_axis(axes, excerpt.start_seconds, excerpt.end_seconds)
        set_title(axes if top is None else top, self.title, self.audio)
        return save_figure(self.figure, self.path)
