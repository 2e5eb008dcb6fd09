"""What `soundsep events --clips` cuts out."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.console import note
from soundsep.cli.options import at_least_1
from soundsep.cli.recordings import own_places
from soundsep.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from soundsep.pipeline.event_table import TimedEvent
    from soundsep.pipeline.results import Event

__all__ = ["Clips", "clip_options"]


def clip_options() -> argparse.ArgumentParser:
    """--clips and what belongs to it."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--clips",
        type=Path,
        metavar="DIR",
        help="cut the events out, into a folder for each label; clips that exist are kept unless "
        "--overwrite is given",
    )
    parent.add_argument(
        "--clip-margin",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="cut out so much before and after each event (default: 1)",
    )
    parent.add_argument(
        "--clips-per-label",
        type=at_least_1,
        metavar="N",
        help="cut out so many events of each label, those with the highest scores (default: all)",
    )
    return parent


class Clips:
    """The events that are to be cut out, as they come, and the cutting.

    Args:
        arguments: Of the command.
        places: Where each recording lies below the folder that was searched.

    Raises:
        ConfigError: the folder is a file, or an option is out of range.
    """

    def __init__(self, arguments: argparse.Namespace, places: Mapping[str, str]) -> None:
        from soundsep.pipeline.clips import BestEvents, place_clips

        self._folder, self._margin = arguments.clips, arguments.clip_margin
        self._overwrite = arguments.overwrite
        if self._folder.exists() and not self._folder.is_dir():
            raise ConfigError(f"{self._folder} is a file; --clips needs a folder, or nothing yet")
        place_clips({}, self._folder, margin_seconds=self._margin)
        self._best = BestEvents(arguments.clips_per_label)
        names = {path: Path(path).stem for path in places}
        n_alike = Counter(name.casefold() for name in names.values())
        if max(n_alike.values(), default=0) > 1:  # such as of two cards
            names = {path: str(place) for path, place in own_places(places).items()}
        self._names = names

    def add(self, path: str, event: Event) -> None:
        """Take an event."""
        self._best.add(path, event)

    def go_on_with(self, events: Iterable[TimedEvent]) -> None:
        """Take those of an earlier run."""
        for path, event, _ in events:
            if path in self._names:
                self._best.add(path, event)

    def cut(self) -> int:
        """Cut them out, and say how many.

        Returns:
            The exit code: 1 if a recording could not be read again.
        """
        from soundsep.pipeline.clips import place_clips, write_clips
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
                n_written += write_clips(path, files, overwrite=self._overwrite)
            except AudioError as error:
                n_failed += 1
                note(error)
        n_kept = sum(file.path.exists() for files in placed.values() for file in files) - n_written
        kept = f", {n_kept} were there already" if n_kept else ""
        failed = f"; {n_failed} recordings could not be cut" if n_failed else ""
        note(f"{n_written} of {n_clips} clips written to {self._folder}{kept}{failed}")
        return 1 if n_failed else 0
