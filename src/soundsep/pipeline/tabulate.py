"""One table of many results, events or scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundsep.audio import recording_start
from soundsep.config import check_whole
from soundsep.errors import ConfigError
from soundsep.pipeline.event_table import TimedEvent
from soundsep.pipeline.events import EVENT_COLUMNS, Events, event_row
from soundsep.pipeline.results import ClipResult
from soundsep.pipeline.tables import Table, clock_time
from soundsep.pipeline.timeline import Event, Scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answers", "result_columns", "result_row", "to_csv", "to_dataframe"]

TOP_K = 5

Answers = (
    ClipResult
    | Scores
    | Events
    | Iterable[ClipResult]
    | Iterable[Event]
    | Iterable[Events]
    | Iterable[TimedEvent]
)


def to_dataframe(answers: Answers, *, top_k: int = TOP_K) -> pd.DataFrame:
    """Results, events or scores as a pandas data frame.

    - Results, one row each: ``path``, ``duration_seconds``, ``label``, ``score``, ``labels`` (all
      that are named, for a model that names any number), ``error``, ``start_time``, and the best
      labels whether named or not: ``label_1``, ``score_1``, ...; where recordings were separated,
      ``heard_in_1``, ... too, the source with that score, or ``"mixture"``.
    - Events, one row each: ``path``, ``start_seconds``, ``end_seconds``, ``label``, ``score``,
      ``start_time``.
    - Scores, one row per window or frame, with one column per label.

    ``start_time`` is the time of day in ISO 8601, if the recording states it, with the offset
    from UTC if that is stated too (`soundsep.audio.recording_start`).

    A column of text that is empty in all rows holds ``None``, from which Parquet tells no type.
    Files that are read together want one: ``frame.astype({"error": "string", "labels": "string",
    "start_time": "string"}).to_parquet(...)``.

    Args:
        answers: Output of a pipeline: one result, one recording's events or scores, or a list or
            iterator of results, of events, or of several recordings' `soundsep.Pipeline.events`;
            also some of those that `soundsep.pipeline.read_events` reads.
        top_k: Number of labels per result.

    Raises:
        AudioError: a recording whose events are requested cannot be read.
        ConfigError: ``answers`` is something else, or of several kinds.
        DependencyError: pandas is not installed.
    """
    return _table(answers, top_k).to_dataframe()


def to_csv(answers: Answers, path: str | Path, *, top_k: int = TOP_K) -> None:
    """Write the table of `to_dataframe`, whole or not at all; pandas is not needed.

    Args:
        answers: Output of a pipeline, as for `to_dataframe`; an iterator is written item by item.
        path: A file; an existing one is replaced.
        top_k: Number of labels per result.

    Raises:
        AudioError: a recording whose events are requested cannot be read.
        ConfigError: ``answers`` is something else, or the file cannot be written.

    Examples:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "events.csv"
        >>> to_csv([Event(12.5, 20.0, "dog", 0.912)], file)
        >>> print(file.read_text().strip())
        path,start_seconds,end_seconds,label,score,start_time
        ,12.5000,20.0000,dog,0.9120,
    """
    _table(answers, top_k).to_csv(path)


def result_columns(top_k: int, *, is_separated: bool = False) -> tuple[str, ...]:
    """The columns of `result_row`."""
    told_of_each = ("label", "score", "heard_in") if is_separated else ("label", "score")
    ranked = [f"{what}_{i}" for i in range(1, top_k + 1) for what in told_of_each]
    told = ("path", "duration_seconds", "label", "score", "labels", "error", "start_time")
    return (*told, *ranked)


def result_row(
    result: ClipResult,
    top_k: int,
    *,
    time_pattern: str | None = None,
    is_separated: bool = False,
) -> dict[str, Any]:
    """A result as a row of a table.

    Args:
        result: The result; it may be a failure.
        top_k: Number of best labels.
        time_pattern: Format of the time in names of recordings.
        is_separated: State in which source each label was heard.
    """
    path = result.path
    row: dict[str, Any] = dict.fromkeys(result_columns(top_k, is_separated=is_separated))
    start = None if path is None else recording_start(path, pattern=time_pattern)
    row |= {"path": path, "error": result.error, "start_time": clock_time(start, 0.0)}
    if result.error is not None:
        return row
    row |= {"duration_seconds": result.duration_seconds, "label": result.label}
    if result.label is not None or result.predictions:
        row["score"] = result.score
    row["labels"] = None if result.named is None else "; ".join(result.labels)
    for number, prediction in enumerate(result.top(top_k), 1):
        row |= {f"label_{number}": prediction.label, f"score_{number}": prediction.score}
        if is_separated:
            row[f"heard_in_{number}"] = prediction.heard_in
    return row


def _table(answers: Any, top_k: int) -> Table:
    check_whole("top_k", top_k, least=1)
    if isinstance(answers, (Scores, Events)):
        return answers._table()
    if isinstance(answers, ClipResult):
        answers = [answers]
    if not isinstance(answers, Iterable) or isinstance(answers, (str, bytes)):
        raise _refusal(answers)
    items = iter(answers)
    first = next(items, None)
    items = chain([first], items) if first is not None else items
    if isinstance(first, ClipResult):
        return _result_table(items, top_k, is_at_hand=isinstance(answers, Sequence))
    if first is None or isinstance(first, (Event, Events, TimedEvent)):
        return Table(EVENT_COLUMNS, _event_rows(items))
    if isinstance(first, Scores):
        raise ConfigError(
            "scores of several recordings have no path in their rows: make a table of each"
        )
    raise _refusal(first)


def _result_table(items: Iterator[Any], top_k: int, *, is_at_hand: bool) -> Table:
    seen: list[Any] = []  # all at hand, or up to the first that tells whether there are sources
    for item in items:
        seen.append(item)
        if not is_at_hand and (not isinstance(item, ClipResult) or item.predictions):
            break
    is_separated = any(_is_separated(item) for item in seen)
    rows = (
        result_row(_one(item, ClipResult), top_k, is_separated=is_separated)
        for item in chain(seen, items)
    )
    return Table(result_columns(top_k, is_separated=is_separated), rows)


def _is_separated(item: Any) -> bool:
    predictions = item.predictions if isinstance(item, ClipResult) else ()
    return any(p.heard_in is not None for p in predictions)


def _event_rows(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, Events):
            yield from item._table().rows
        elif isinstance(item, TimedEvent):
            when = clock_time(item.start_time, 0.0)
            yield event_row(item.event, item.path or None, None) | {"start_time": when}
        else:
            yield event_row(_one(item, Event), None, None)


def _one(item: Any, kind: type[Any]) -> Any:
    if not isinstance(item, kind):
        raise _refusal(item)
    return item


def _refusal(answer: object) -> ConfigError:
    return ConfigError(
        "expected results, events or scores of a pipeline, one kind per table, got "
        f"{type(answer).__name__}"
    )
