"""One file with the rows of all recordings, which a later run can resume."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soundsep.cli.claimed_file import ClaimedFile
from soundsep.cli.output import is_regular
from soundsep.cli.results_file import ResultsFile, record_of
from soundsep.cli.sinks import Lines, Settings, encoded
from soundsep.errors import AudioError, ConfigError

__all__ = ["OneFile"]


class OneFile:
    """One file with the rows of all recordings, and a record beside it of what is done.

    The record says up to which byte the rows belong to finished recordings. Resuming cuts off the
    rest, which a stopped run has left of an unfinished one.

    Args:
        path: The file; created with the first line, or when the first recording is done or failed,
            but not for labels of one recording that failed.
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
            weights=settings.weights,
            options=settings.options,
            command=settings.command,
            resume=settings.resume and exists,
            overwrite=True,
            has_spans=True,
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
        start, *end = self._record.last_span
        size = self._file.size
        if size < start or (end and size != end[0]):
            raise ConfigError(
                f"{self.path} was changed since soundsep wrote it and cannot be resumed; name "
                "another file, or give --overwrite to start over"
            )
        return size if end else start

    def _check_head(self) -> None:
        """Refuse a table that another version began, whose columns may be others."""
        head = encoded(self._lines.head())
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
        head, written = encoded(self._lines.head()), self.path.read_bytes()
        parts, lines, size = [head if kept else b""], [], len(head)
        for path in kept:
            start, end = self._record.spans[path]
            rows = written[max(start, len(head)) : end]  # the first rows follow the head
            parts.append(rows)
            lines.append({"path": path, "bytes": [size, size + len(rows)]})
            size += len(rows)
        # A kill between the two leaves a file that is not as the record says, which is refused.
        self._file = self._record.rewrite(lines, self._file, b"".join(parts))

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
            failure, title = {"error": str(error)}, []
            raise
        finally:
            if failure or sys.exc_info()[0] is None:
                # Without a row too: a resumed run believes the record only of a file that exists.
                # But empty labels of a recording that cannot be read would say that it is silent.
                if self._file or not (failure and self._lines.is_of_one_recording):
                    self._append(title).keep()
                self._record.write([{"path": path, "bytes": [start, self._size], **failure}])

    @property
    def _size(self) -> int:
        return self._file.size if self._file else 0

    def _append(self, lines: list[str]) -> ClaimedFile:
        if self._file is None:
            self._file = ClaimedFile(self.path, may_exist=False)
        if not self._file.size:
            lines = [*self._lines.head(), *lines]
        self._file.append(encoded(lines))
        return self._file

    def close(self) -> None:
        """See `Sink`."""
        if self._file is not None:
            self._file.close()
        self._record.close()
