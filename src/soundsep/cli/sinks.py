"""Where rows go: to the screen, or to one file for each recording; see also `one_file`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from soundsep.cli.claimed_file import ClaimedFile
from soundsep.cli.console import say
from soundsep.cli.formats import Lines
from soundsep.cli.output import check_free, writing
from soundsep.cli.results_file import ResultsFile, record_of
from soundsep.errors import AudioError
from soundsep.files import write_bytes

__all__ = ["EachToItsFile", "Lines", "Screen", "Settings", "Sink", "encoded"]

ENCODING, ERRORS = "utf-8", "surrogateescape"  # a file name can be any bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What to do with an existing output, and what its rows depend on.

    Attributes:
        resume: Continue it.
        retry_failed: When resuming, drop the rows of recordings that failed, and try them again.
        overwrite: Replace it.
        model: Name of the model.
        weights: Mark of the model among others of that name, see `soundsep.cli.identity`.
        options: All other options that change the rows.
        command: The command that writes, for messages.
    """

    resume: bool
    retry_failed: bool
    overwrite: bool
    model: str
    weights: str
    options: str
    command: str


class Sink(Protocol):
    """Takes the rows of recordings: events, or a result.

    Attributes:
        done: Whether each recording of the resumed run failed.
    """

    done: dict[str, bool]

    def recording(self, path: str) -> Any:
        """A context in which `write` takes the rows of a recording; an `AudioError` may end it.

        What was written before the error is kept.
        """

    def close(self) -> None:
        """Close all files."""


class Screen:
    """Standard output, or another output that keeps nothing, such as a pipe.

    Lines for a program are the bytes of a file, whatever the terminal's encoding is.

    Args:
        lines: Format of the lines.
        path: File to write, instead of standard output.
    """

    def __init__(self, lines: Lines, path: Path | None) -> None:
        self.done: dict[str, bool] = {}
        self._lines = lines
        self._file = None if path is None else ClaimedFile(path, may_exist=True)
        screen = sys.stdout if path is None else None
        if isinstance(screen, io.TextIOWrapper) and not screen.isatty():
            screen.reconfigure(encoding=ENCODING, errors=ERRORS)  # a program opens what is named
        self._print(lines.head())

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            if self._file is not None:
                self._file.append(encoded([line]))
            elif sys.stdout.isatty():
                say(line)
            else:
                from soundsep.progress import write_line

                write_line(line, sys.stdout)
        sys.stdout.flush()

    @contextmanager
    def recording(self, path: str) -> Iterator[Callable[[Any], None]]:
        """See `Sink`."""
        self._print(self._lines.title(path))
        yield lambda item: self._print([self._lines.line(path, item)])

    def close(self) -> None:
        """See `Sink`."""
        if self._file is not None:
            self._file.close()


class EachToItsFile:
    """One file per recording, either whole or absent, and a record of what is done.

    Args:
        folder: Folder of the files.
        outputs: The file of each recording.
        lines: Creates the format of a file.
        settings: ``resume`` skips finished recordings whose file exists; ``overwrite`` replaces
            existing files.

    Raises:
        ConfigError: a file exists already, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        outputs: Mapping[str, Path],
        lines: Callable[[], Lines],
        settings: Settings,
    ) -> None:
        self._outputs, self._lines, self._overwrite = outputs, lines, settings.overwrite
        self._record = ResultsFile(
            record_of(folder, settings.command),
            model=settings.model,
            weights=settings.weights,
            options=settings.options,
            command=settings.command,
            resume=settings.resume,
            retry_failed=settings.retry_failed,
            overwrite=False,
            shared=True,
        )
        self.done = {
            path: failed
            for path, failed in self._record.done.items()
            if failed or (path in outputs and outputs[path].is_file())
        }
        try:
            for path, output in outputs.items():
                if path not in self.done:
                    self._check_free(path, output)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def recording(self, path: str) -> Iterator[Callable[[Any], None]]:
        """See `Sink`."""
        lines = self._lines()
        written = list[str]()
        try:
            yield lambda item: written.append(lines.line(path, item))
        except AudioError as error:
            if written:
                self._keep(path, [*lines.head(), *written])
            self._record.write([{"path": path, "error": str(error)}])
            raise
        self._keep(path, [*lines.head(), *written])
        self._record.write([{"path": path}])

    def _check_free(self, path: str, output: Path) -> None:
        # An earlier run may have been stopped between the file and the line that says so.
        check_free(output, overwrite=self._overwrite or path in self._record.begun)

    def _keep(self, path: str, lines: list[str]) -> None:
        output = self._outputs[path]
        self._check_free(path, output)  # hours may have passed
        self._record.write([{"path": path, "unfinished": True}])
        with writing(output):
            write_bytes(output, encoded(lines))

    def close(self) -> None:
        """See `Sink`."""
        self._record.close()


def encoded(lines: list[str]) -> bytes:
    """Lines as they are in a file; a file name is written as its own bytes."""
    return "".join(f"{line}\n" for line in lines).encode(ENCODING, ERRORS)
