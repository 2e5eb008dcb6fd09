"""Parquet files: made at the end of a run of the lines that it has written until then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from soundsep.cli.output import is_regular, writing
from soundsep.cli.results_file import record_of
from soundsep.cli.sinks import Lines, OneFile, Screen, Settings, Sink
from soundsep.errors import ConfigError, DependencyError
from soundsep.files import replacing

__all__ = ["ParquetFile", "rows_of", "sink_of"]

N_ROWS = 10_000  # of a group, which is in memory
NUMBERS = ("start_seconds", "end_seconds", "duration_seconds", "score")  # and score_1, ...


class ParquetFile:
    """One Parquet file with the rows of all recordings; a `soundsep.cli.sinks.Sink`.

    It cannot be added to, so the rows lie in a hidden file beside it, with a record of what is
    done, and it is made of them when the run ends or is stopped. After a kill, going on makes it.

    Args:
        path: The file.
        columns: Those of its rows.
        lines: The rows as JSON.
        settings: Whether to go on with it, or to begin it anew.

    Raises:
        ConfigError: the file cannot be gone on with, or written.
    """

    def __init__(
        self, path: Path, columns: Sequence[str], lines: Lines, settings: Settings
    ) -> None:
        self._path, self._columns = path, columns
        self._rows = rows_of(path)
        if is_regular(self._rows) and not (settings.resume or settings.overwrite):
            raise ConfigError(
                f"{path} was begun by a run that was stopped: {self._rows.name} lies beside it; "
                "--resume goes on with it, --overwrite begins it anew"
            )
        if is_regular(path) and settings.resume and not is_regular(self._rows):
            raise ConfigError(
                f"{path} cannot be gone on with, for {self._rows.name}, of which it was made, is "
                "not beside it; --overwrite begins it anew"
            )
        self._file = OneFile(self._rows, lines, settings, record=record_of(path, ""))
        self.done = self._file.done
        self._has_any = False

    @contextmanager
    def recording(self, path: str) -> Iterator[Callable[[Any], None]]:
        """As of a `Sink`."""
        with self._file.recording(path) as write:
            yield write
        self._has_any = True

    def close(self) -> None:
        """Make the file, unless there is nothing at all to say."""
        self._file.close()
        if self._has_any or self._rows.is_file():
            with writing(self._path):
                self._rows.touch()
                _convert(self._rows, self._path, self._columns)


def sink_of(
    output: Path | None, kind: str, lines: Lines, settings: Settings, columns: Sequence[str]
) -> Sink:
    """Takes what goes to the screen, to a pipe or to one file.

    Args:
        output: The file; the screen by default.
        kind: The format.
        lines: What is written in it.
        settings: What becomes of a file that exists.
        columns: Of a table.

    Raises:
        ConfigError: the file cannot be gone on with, or written.
        DependencyError: the format needs a package that is not installed.
    """
    is_stream = output is None or (output.exists() and not is_regular(output))
    if kind == "parquet":
        _check_pyarrow()
        if is_stream:
            raise ConfigError(f"{output} is no file, and Parquet cannot be written bit by bit")
    if is_stream or output is None:
        return Screen(lines, output)
    if kind == "parquet":
        return ParquetFile(output, columns, lines, settings)
    return OneFile(output, lines, settings)


def rows_of(output: Path) -> Path:
    """The hidden file that a Parquet file is made of; it has a JSON object a line."""
    return output.with_name(f".{output.name}.rows")


def _check_pyarrow() -> None:
    """See that Parquet can be written, before hours are spent.

    Raises:
        DependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            f"Parquet needs pyarrow, which cannot be imported: {error}; install it with: pip "
            "install pyarrow, or write .csv or .jsonl, which need nothing"
        ) from error


def _convert(rows: Path, output: Path, columns: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [(name, pa.float64() if _is_number(name) else pa.string()) for name in columns]
    )
    with (
        replacing(output) as (temporary,),
        pq.ParquetWriter(temporary, schema) as writer,
    ):
        for group in _groups(rows):
            cells = {name: [row[name] for row in group] for name in columns}
            writer.write_table(pa.table(cells, schema=schema))


def _groups(rows: Path) -> Iterator[list[dict[str, Any]]]:
    with rows.open(encoding="utf-8") as file:
        parsed = map(_parsed, file)
        while group := [*islice(parsed, N_ROWS)]:
            yield group


def _parsed(line: str) -> dict[str, Any]:
    loads: Callable[[str], dict[str, Any]] = json.loads
    return {
        # A name can be any bytes, and Parquet takes text alone.
        name: value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str)
        else value
        for name, value in loads(line).items()
    }


def _is_number(column: str) -> bool:
    return column in NUMBERS or column.startswith("score_")
