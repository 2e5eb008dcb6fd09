"""Where rows go: to the screen, to one file for all recordings, or to one file each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from soundsep.cli.claimed_file import ClaimedFile
from soundsep.cli.console import say
from soundsep.cli.formats import Lines
from soundsep.cli.output import check_free, is_regular, writing
from soundsep.cli.results_file import ResultsFile, record_of
from soundsep.errors import AudioError, ConfigError
from soundsep.files import write_bytes

__all__ = ["EachToItsFile", "Lines", "OneFile", "Screen", "Settings", "Sink"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What to do with an existing output, and what its rows depend on.

    Attributes:
        resume: Continue it.
        retry_failed: When resuming, drop the rows of recordings that failed, and try them again.
        overwrite: Replace it.
        model: Name of the model.
        options: All other options that change the rows.
        command: The command that writes, for messages.
    """

    resume: bool
    overwrite: bool
    model: str
    options: str
    command: str = "events"
    retry_failed: bool = False


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

    Args:
        lines: Format of the lines.
        path: File to write, instead of standard output.
    """

    def __init__(self, lines: Lines, path: Path | None) -> None:
        self.done: dict[str, bool] = {}
        self._lines = lines
        self._file = None if path is None else ClaimedFile(path, may_exist=True)
        self._print(lines.head())

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            if self._file is not None:
                self._file.append(_encoded([line]))
            elif sys.stdout.isatty():
                say(line)
            else:  # for a program, which needs file names unescaped
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


class OneFile:
    """One file with the rows of all recordings, and a record beside it of what is done.

    The record says up to which byte the rows belong to finished recordings. Resuming cuts off the
    rest, which a stopped run has left of an unfinished one.

    Args:
        path: The file; created with the first line.
        lines: Format of the lines.
        settings: Whether to resume or overwrite an existing file.
        record: Path of the record, if not the default.

    Raises:
        ConfigError: the file cannot be resumed or written.
    """

    def __init__(
        self, path: Path, lines: Lines, settings: Settings, *, record: Path | None = None
    ) -> None:
        self.path, self._lines = path, lines
        self._file: ClaimedFile | None = None
        record, exists = record or record_of(path, ""), is_regular(path)
        if settings.resume and exists and not record.is_file():
            raise ConfigError(
                f"{path} cannot be resumed: {record.name}, which lists what is done, is not "
                "beside it; --overwrite starts over"
            )
        self._record = ResultsFile(
            record,
            model=settings.model,
            options=settings.options,
            command=settings.command,
            resume=settings.resume and exists,
            overwrite=True,
            keep=("bytes",),
        )
        try:
            if exists:
                self._file = ClaimedFile(path, may_exist=settings.resume or settings.overwrite)
                self._file.cut(self._kept_size() if settings.resume else 0)
                self._check_head()
                if settings.resume and settings.retry_failed:
                    self._drop_failed()
        except BaseException:
            self.close()
            raise
        self.done = dict(self._record.done)

    def _kept_size(self) -> int:
        assert self._file is not None
        start, *end = self._record.last.get("bytes", [0, 0])
        size = self._file.size
        if size < start or (end and size != end[0]):
            raise ConfigError(
                f"{self.path} was changed since soundsep wrote it and cannot be resumed; name "
                "another file, or give --overwrite to start over"
            )
        return size if end else int(start)

    def _check_head(self) -> None:
        """Refuse a table that another version began, whose columns may be others."""
        head = _encoded(self._lines.head())
        with self.path.open("rb") as file:
            begun = file.read(len(head))
        if begun and begun != head:
            raise ConfigError(
                f"{self.path} has other columns than this version of soundsep writes and cannot be "
                "resumed; name another file, or give --overwrite to start over"
            )

    def _drop_failed(self) -> None:
        """Drop the rows of the recordings that failed, which move those behind them."""
        kept = [path for path, failed in self._record.done.items() if not failed]
        if len(kept) == len(self._record.done):
            return
        assert self._file is not None
        head, written = _encoded(self._lines.head()), self.path.read_bytes()
        parts, lines, size = [head if kept else b""], [], len(head)
        for path in kept:
            start, end = self._record.kept[path]["bytes"]
            rows = written[max(start, len(head)) : end]  # the first rows follow the head
            parts.append(rows)
            lines.append({"path": path, "bytes": [size, size + len(rows)]})
            size += len(rows)
        self._file.close()  # Windows replaces no open file
        # A kill between the two leaves a file that is not as the record says, which is refused.
        self._record.rewrite(lines)
        with writing(self.path):
            write_bytes(self.path, b"".join(parts))
        self._file = ClaimedFile(self.path, may_exist=True)

    @contextmanager
    def recording(self, path: str) -> Iterator[Callable[[Any], None]]:
        """See `Sink`."""
        start = self._size
        title = self._lines.title(path)
        self._record.write([{"path": path, "bytes": [start], "unfinished": True}])

        def write(item: Any) -> None:
            self._append([*title, self._lines.line(path, item)])
            title.clear()

        failure: dict[str, str] = {}
        try:
            yield write
        except AudioError as error:
            failure = {"error": str(error)}
            raise
        else:
            self._append(title)
        finally:
            if failure or sys.exc_info()[0] is None:
                self._record.write([{"path": path, "bytes": [start, self._size], **failure}])

    @property
    def _size(self) -> int:
        return self._file.size if self._file else 0

    def _append(self, lines: list[str]) -> None:
        if self._file is None:
            self._file = ClaimedFile(self.path, may_exist=False)
        if not self._file.size:
            lines = [*self._lines.head(), *lines]
        self._file.append(_encoded(lines))

    def close(self) -> None:
        """See `Sink`."""
        if self._file is not None:
            self._file.close()
        self._record.close()


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
            record_of(folder, "events"),
            model=settings.model,
            options=settings.options,
            command="events",
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
            write_bytes(output, _encoded(lines))

    def close(self) -> None:
        """See `Sink`."""
        self._record.close()


def _encoded(lines: list[str]) -> bytes:
    # A file name can be any bytes, and is written as those bytes.
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
