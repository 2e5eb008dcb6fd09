"""Tables of plain values, written to CSV files and pandas data frames, and read from CSV files."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from soundsep.errors import DatasetError, DependencyError
from soundsep.files import saving

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Table",
    "clock_time",
    "csv_line",
    "is_number",
    "numeral",
    "read_rows",
    "utf8_fault",
    "valid_text",
]

N_DECIMALS = 4
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NUMBERS = ("start_seconds", "end_seconds", "duration_seconds", "score")  # and score_1, ...


def is_number(column: str) -> bool:
    """Whether a column of results or events holds numbers, not text."""
    return column in NUMBERS or column.startswith("score_")


def clock_time(start: datetime | None, seconds: float) -> str | None:
    """The time of day ``seconds`` after the start of a recording, in ISO 8601.

    The offset from UTC stays that of the start, as it does in a recorder.

    Examples:
        >>> clock_time(datetime(2024, 5, 19, 23, 59), 61.5)
        '2024-05-20T00:00:01.500'
    """
    if start is None:
        return None
    return (start + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def csv_line(cells: Iterable[Any], delimiter: str = ",") -> str:
    r"""One line of a table, without its line break; four decimals, and nothing for ``None``.

    Examples:
        >>> csv_line(["a,b.wav", 1.25, None, "dog"])
        '"a,b.wav",1.2500,,dog'
    """
    text = io.StringIO()
    written = (f"{cell:.{N_DECIMALS}f}" if isinstance(cell, float) else cell for cell in cells)
    # csv quotes the characters of its line ending, so this quotes every line break in a name.
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(written)
    return text.getvalue().removesuffix("\r\n")


def valid_text(cell: Any) -> Any:
    r"""A cell for a table of text: a file name can be any bytes, of which it takes only UTF-8.

    Examples:
        >>> valid_text("sir\udce8ne.wav"), valid_text("sirène.wav"), valid_text(1.5)
        ('sir\\udce8ne.wav', 'sirène.wav', 1.5)
    """
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


class Table(NamedTuple):
    """Rows of plain values, which may be generated one by one.

    Attributes:
        columns: Names of the columns.
        rows: Rows with a value for every column.
    """

    columns: tuple[str, ...]
    rows: Iterable[Mapping[str, Any]]

    def lines(self) -> Iterator[str]:
        """The table as comma-separated text."""
        yield csv_line(self.columns)
        for row in self.rows:
            yield csv_line(row[name] for name in self.columns)

    def to_csv(self, path: str | Path) -> None:
        """Write the table, whole or not at all; an existing file is replaced.

        Raises:
            ConfigError: the file cannot be written.
        """
        with (
            saving(path) as temporary,
            # A file name can be any bytes, and is written as those bytes.
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            file.writelines(f"{line}\n" for line in self.lines())

    def to_dataframe(self) -> pd.DataFrame:
        """The table in memory; bytes of a file name that are no text are escaped.

        Raises:
            DependencyError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise DependencyError(
                f"a data frame needs pandas, which cannot be imported: {error}; install it with: "
                "pip install pandas, or write a file with to_csv, which does not need it"
            ) from error
        cells = [[valid_text(row[name]) for name in self.columns] for row in self.rows]
        frame = pd.DataFrame(cells, columns=[*self.columns])
        # Without a value in any row, pandas cannot know it.
        return frame.astype({name: "float64" for name in self.columns if is_number(name)})


def numeral(value: Any) -> Any:
    """What a table holds as a number, for `float` or `int`; these also take ``1_0`` for 10.

    Raises:
        ValueError: it is a text with an underscore.

    Examples:
        >>> float(numeral("1.5")), int(numeral(3))
        (1.5, 3)
    """
    if isinstance(value, str) and "_" in value:
        raise ValueError(f"expected a number, got {value!r:.50}")
    return value


def utf8_fault(begin: bytes) -> str:
    r"""What is wrong with a table that is not in UTF-8, and what to do.

    Args:
        begin: Its first bytes.

    Examples:
        >>> utf8_fault("path".encode("utf-16"))
        'is in UTF-16, which Excel calls Unicode text; save it in UTF-8 (Excel: "CSV UTF-8")'
    """
    if begin.startswith(UTF_16):
        found = "is in UTF-16, which Excel calls Unicode text"
    else:
        found = "is not text in UTF-8"
    return f'{found}; save it in UTF-8 (Excel: "CSV UTF-8")'


def read_rows(
    table: Path, needed: Sequence[str], optional: Sequence[str] = (), *, exact: bool = False
) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a csv table without missing values.

    Args:
        table: The file, in UTF-8.
        needed: Required columns.
        optional: Columns that may be missing; if present, they have a value in every row.
        exact: Take values as they are, as for names of files: with spaces in front, and with any
            bytes.

    Returns:
        The position of each row, for messages, and its values by column.

    Raises:
        DatasetError: a column or a value is missing, or the file is not such a table.
    """
    errors = "surrogateescape" if exact else "strict"
    try:
        with (
            table.open("rb") as stream,
            io.TextIOWrapper(stream, "utf-8-sig", errors, newline="") as file,
        ):
            if exact and (begin := stream.peek(2)[:2]) in UTF_16:
                raise DatasetError(f"{table} {utf8_fault(begin)}")
            # strict: a quotation mark that nothing closes would swallow all rows behind it.
            reader = csv.DictReader(file, skipinitialspace=not exact, strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            if absent := [name for name in needed if name not in columns]:
                raise DatasetError(
                    f"{table}: no column {', '.join(absent)}; found "
                    f"{', '.join(columns) or 'none'}{_hint(columns)}"
                )
            names = [*needed, *(name for name in optional if name in columns)]
            if double := [name for name in names if columns.count(name) > 1]:
                raise DatasetError(f"{table}: several columns {', '.join(double)}")
            for row in reader:
                where = f"{table}, line {reader.line_num}"
                # DictReader fills a short row with None, and files what is too much under None.
                if missing := [name for name in names if not (row[name] or "").strip()]:
                    raise DatasetError(f"{where}: a value is missing: {', '.join(missing)}")
                if None in row:
                    raise DatasetError(
                        f"{where}: more values than columns; put a value with a comma in quotes"
                    )
                yield where, row
    except UnicodeDecodeError as error:
        raise DatasetError(f"{table} {utf8_fault(error.object)}") from error
    except csv.Error as error:
        raise DatasetError(f"{table} is not a table of comma-separated text: {error}") from error
    except OSError as error:
        raise DatasetError(f"{table} cannot be read: {error.strerror}") from error


def _hint(columns: Sequence[str]) -> str:
    """What to do about a first line with another separator or encoding, as Excel writes."""
    text = ",".join(columns)
    if "\0" in text:
        return "; save it as UTF-8"
    return "; separate the columns by commas" if ";" in text or "\t" in text else ""
