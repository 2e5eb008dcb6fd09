"""What `soundsep events --clips` cuts out."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.console import counted, note
from soundsep.cli.options import at_least_1
from soundsep.cli.recordings import own_places
from soundsep.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from soundsep.pipeline.event_table import TimedEvent
    from soundsep.pipeline.timeline import Event

__all__ = ["Clips", "add_clips"]


def add_clips(command: argparse.ArgumentParser) -> None:
    """--clips and its options."""
    command.add_argument(
        "--clips",
        type=Path,
        metavar="DIR",
        help="cut the events out into one folder per label; existing clips are kept unless "
        "--overwrite is given",
    )
    command.add_argument(
        "--clip-margin",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="length to include before and after each event (default: 1)",
    )
    command.add_argument(
        "--clips-per-label",
        type=at_least_1,
        metavar="N",
        help="cut out only the N events of each label with the highest scores (default: all)",
    )


class Clips:
    """Collects the events to cut out, then cuts them.

    Args:
        arguments: Arguments of the command.
        places: Path of each recording relative to the folder that was searched.
        labels: Labels of the model.

    Raises:
        ConfigError: the folder is a file, an option is out of range, or two labels would share a
            folder.
    """

    def __init__(
        self, arguments: argparse.Namespace, places: Mapping[str, str], labels: Iterable[str]
    ) -> None:
        from soundsep.pipeline.clips import BestEvents, label_folders, place_clips

        self._folder, self._margin = arguments.clips, arguments.clip_margin
        self._overwrite = arguments.overwrite
        if self._folder.exists() and not self._folder.is_dir():
            raise ConfigError(f"{self._folder} is a file; --clips needs a folder, or nothing yet")
        place_clips({}, self._folder, margin_seconds=self._margin)
        label_folders(arguments.label or labels)  # hours before the first clip
        self._best = BestEvents(arguments.clips_per_label)
        names = {path: Path(path).stem for path in places}
        n_alike = Counter(name.casefold() for name in names.values())
        if max(n_alike.values(), default=0) > 1:  # for example from two memory cards
            names = {path: str(place) for path, place in own_places(places).items()}
        self._names = names

    def add(self, path: str, event: Event) -> None:
        """Add an event."""
        self._best.add(path, event)

    def go_on_with(self, events: Iterable[TimedEvent]) -> None:
        """Add the events of an earlier run."""
        for path, event, _ in events:
            if path in self._names:
                self._best.add(path, event)

    def cut(self) -> int:
        """Cut the events out and print how many.

        Returns:
            The exit code, 1 if a recording could not be read again to its end.
        """
        from soundsep.pipeline.clip_files import write_clips
        from soundsep.pipeline.clips import place_clips
        from soundsep.progress import progress_bar

        placed = place_clips(
            self._best.by_recording(),
            self._folder,
            margin_seconds=self._margin,
            names=self._names,
        )
        n_clips, n_written, n_failed = sum(map(len, placed.values())), 0, 0
        many = len(placed) > 1
        for path, files in progress_bar(placed.items(), unit="file", desc="cutting", progress=many):
            try:
                for _ in write_clips(path, files, overwrite=self._overwrite):
                    n_written += 1
            except AudioError as error:
                n_failed += 1
                note(error)
        n_kept = sum(file.path.exists() for files in placed.values() for file in files) - n_written
        kept = f", {n_kept} existed already" if n_kept else ""
        damaged = counted(n_failed, "recording")
        failed = f"; {damaged} could not be read to the end" if n_failed else ""
        note(f"{n_written} of {n_clips} clips written to {self._folder}{kept}{failed}")
        return 1 if n_failed else 0
