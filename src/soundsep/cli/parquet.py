"""Parquet files, converted at the end of a run from the lines it has written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from soundsep.cli.one_file import OneFile
from soundsep.cli.output import is_regular, writing
from soundsep.cli.results_file import record_of
from soundsep.cli.sinks import Lines, Screen, Settings, Sink
from soundsep.errors import ConfigError, DependencyError
from soundsep.files import replacing

__all__ = ["ParquetFile", "rows_of", "sink_of"]

N_ROWS = 10_000  # per row group, which is held in memory


class ParquetFile:
    """One Parquet file with the rows of all recordings; a `soundsep.cli.sinks.Sink`.

    Parquet cannot be appended to, so the rows lie in a hidden file beside it, with a record of
    what is done, and are converted when the run ends or is stopped. After a kill, resuming does so.

    Args:
        path: The file.
        columns: Columns of the rows.
        lines: Writes the rows as JSON.
        settings: Whether to resume or overwrite an existing file.

    Raises:
        ConfigError: the file cannot be resumed or written.
    """

    def __init__(
        self, path: Path, columns: Sequence[str], lines: Lines, settings: Settings
    ) -> None:
        self._path, self._columns = path, columns
        self._rows = rows_of(path)
        if is_regular(self._rows) and not (settings.resume or settings.overwrite):
            raise ConfigError(
                f"{path} was begun by a run that was stopped: {self._rows.name} lies beside it; "
                "--resume continues it, --overwrite starts over"
            )
        if is_regular(path) and settings.resume and not is_regular(self._rows):
            raise ConfigError(
                f"{path} cannot be resumed: {self._rows.name}, from which it was made, is not "
                "beside it; --overwrite starts over"
            )
        self._file = OneFile(self._rows, lines, settings, record=record_of(path, ""))
        self.done, self.recording = self._file.done, self._file.recording

    def close(self) -> None:
        """Write the file, unless there is nothing to write."""
        self._file.close()
        if self._rows.is_file():
            with writing(self._path):
                _convert(self._rows, self._path, self._columns)


def sink_of(
    output: Path | None, kind: str, lines: Lines, settings: Settings, columns: Sequence[str]
) -> Sink:
    """The sink for the screen, a pipe or one file.

    Args:
        output: The file; the screen by default.
        kind: The format.
        lines: Writes the lines of the format.
        settings: Whether to resume or overwrite an existing file.
        columns: Columns of a table.

    Raises:
        ConfigError: the file cannot be resumed or written.
        DependencyError: the format needs a package that is not installed.
    """
    is_stream = output is None or (output.exists() and not is_regular(output))
    if kind == "parquet":
        _check_pyarrow()
        if is_stream:
            raise ConfigError(f"{output} is not a file, and Parquet cannot be streamed")
    if is_stream or output is None:
        return Screen(lines, output)
    if kind == "parquet":
        return ParquetFile(output, columns, lines, settings)
    return OneFile(output, lines, settings)


def rows_of(output: Path) -> Path:
    """The hidden file that a Parquet file is made from, with one JSON object per line."""
    return output.with_name(f".{output.name}.rows")


def _check_pyarrow() -> None:
    """Check that Parquet can be written, before hours are spent.

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

    from soundsep.pipeline.tables import is_number, valid_text  # brings torch: seconds

    schema = pa.schema(
        [(name, pa.float64() if is_number(name) else pa.string()) for name in columns]
    )
    with (
        replacing(output) as (temporary,),
        temporary.open("wb") as file,  # Arrow itself opens only names in UTF-8
        pq.ParquetWriter(file, schema) as writer,
    ):
        for group in _groups(rows):
            # Rows of a resumed run that an older version began have fewer columns.
            cells = {name: [valid_text(row.get(name)) for row in group] for name in columns}
            writer.write_table(pa.table(cells, schema=schema))


def _groups(rows: Path) -> Iterator[list[dict[str, Any]]]:
    with rows.open(encoding="utf-8") as file:
        while group := [json.loads(line) for line in islice(file, N_ROWS)]:
            yield group
