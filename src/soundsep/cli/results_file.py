"""A file with one JSON line per recording, which a later run can resume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from soundsep.cli.claimed_file import ClaimedFile, replaced
from soundsep.cli.output import is_regular
from soundsep.errors import ConfigError
from soundsep.files import json_lines, parse_json

__all__ = ["ResultsFile", "record_of"]

START = b'{"path": '


class ResultsFile:
    """Writes results as they come; the lines are whole however the program ends.

    Only a kill can cut off the last line, and resuming drops it.

    Args:
        path: The file.
        model: Name of the model, written into every line.
        weights: Mark of the model among others of that name (`soundsep.cli.identity`), written
            into every line; a model under another name is then the same.
        options: Other options that the lines depend on, written into every line unless empty.
        command: The command that writes, for messages.
        resume: Continue an existing file.
        retry_failed: When resuming, forget the recordings that failed.
        overwrite: Replace an existing file.
        has_spans: The lines have ``bytes``, to be read back into `spans`: where in the output the
            rows of a recording begin and, if it was finished, where they end.
        shared: Let several runs and models write to the file; lines of other models are ignored.

    Attributes:
        done: Whether the recording failed, for every path in the file.
        begun: Paths whose output an earlier run began to write; it may be there, whole or in part.
        spans: Places in the output, for every path in the file.
        last_span: Places that the last line states.

    Raises:
        ConfigError: the file exists and neither option is given, another run writes it, it cannot
            be written, or the file to resume holds something else or results of another model.
    """

    def __init__(
        self,
        path: Path,
        *,
        model: str,
        weights: str,
        options: str = "",
        command: str = "classify",
        resume: bool,
        retry_failed: bool = False,
        overwrite: bool,
        has_spans: bool = False,
        shared: bool = False,
    ) -> None:
        self.path, self._command, self._shared = path, command, shared
        self._has_spans = has_spans
        self._marks = {"model": model, "weights": weights}
        self._marks |= {"options": options} if options else {}
        self.done: dict[str, bool] = {}
        self.begun: set[str] = set()
        self.spans: dict[str, list[int]] = {}
        self.last_span = [0, 0]
        if is_regular(path) and not (resume or overwrite or shared):
            raise ConfigError(f"{path} exists; --resume continues it, --overwrite starts over")
        self._file = ClaimedFile(path, may_exist=resume or overwrite or shared, shared=shared)
        try:
            if resume and is_regular(path):
                size = self._read_back()
                if not shared:
                    self._file.cut(size)
                if retry_failed:
                    self._forget_failed()
            elif not shared:
                self._file.cut(0)
            if self._file.size:
                self._end_line()
        except BaseException:
            self.close()
            raise

    def _read_back(self) -> int:
        """Fill `done`; returns the size of the whole lines."""
        size = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n") and (line.startswith(START) or START.startswith(line)):
                    break
                try:
                    record = parse_json(line)
                    path, model = record["path"], record["model"]
                    if not isinstance(path, str) or not isinstance(model, str):
                        raise TypeError("the path or the model is not a string")
                    if self._has_spans:
                        _check_span(record["bytes"], finished=not record.get("unfinished"))
                except (ValueError, TypeError, KeyError) as error:
                    if self._shared:
                        continue
                    raise ConfigError(
                        f"line {number} of {self.path} was not written by soundsep "
                        f"{self._command}; name the file to resume, or repair this one"
                    ) from error
                is_ours = self._is_ours(record)
                if not is_ours and not self._shared:
                    tells = "weights" in record
                    found, wanted = (_described(m, tells) for m in (record, self._marks))
                    raise ConfigError(
                        f"{self.path} holds results of the model {found}, not of {wanted}; use "
                        "that model with the same options, or name another file"
                    )
                if is_ours:
                    self._remember(record)
                size += len(line)
        return size

    def _is_ours(self, record: Mapping[str, Any]) -> bool:
        # Lines of earlier versions have no weights.
        key = "weights" if "weights" in record else "model"
        return all(record.get(k, "") == self._marks.get(k, "") for k in (key, "options"))

    def _forget_failed(self) -> None:
        failed = [path for path, is_failed in self.done.items() if is_failed]
        for path in failed:
            del self.done[path]
            self.begun.add(path)
        if failed and not self._shared:  # in a shared file a later line counts
            with self.path.open("rb") as stream:
                kept = b"".join(s for s in stream if "error" not in parse_json(s))
            (self._file,) = replaced({self._file: kept})

    def _end_line(self) -> None:
        """End a last line without an end, by a killed run or an editor, before the next begins."""
        with self.path.open("rb") as stream:
            stream.seek(-1, 2)
            if stream.read() != b"\n":
                self._file.append(b"\n")

    def _remember(self, record: Mapping[str, Any]) -> None:
        path = record["path"]
        if record.get("unfinished"):
            self.done.pop(path, None)
            self.begun.add(path)
        else:
            self.done[path] = "error" in record
            self.begun.discard(path)
        if self._has_spans:
            self.last_span = self.spans[path] = record["bytes"]

    def write(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Add one line per result.

        Raises:
            ConfigError: the disk is full or missing, or another program has changed the file.
        """
        records = [{**result, **self._marks} for result in results]
        self._file.append(json_lines(records))
        for record in records:
            self._remember(record)

    def rewrite(
        self, results: Iterable[Mapping[str, Any]], output: ClaimedFile, data: bytes
    ) -> ClaimedFile:
        """Replace all lines by one per result, and the output that they are about with them.

        Returns:
            The output, claimed again.

        Raises:
            ConfigError: the disk is full or missing, or another run claims a file.
        """
        records = [{**result, **self._marks} for result in results]
        self._file, output = replaced({self._file: json_lines(records), output: data})
        self.done, self.begun, self.spans, self.last_span = {}, set(), {}, [0, 0]
        for record in records:
            self._remember(record)
        return output

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _check_span(span: Any, *, finished: bool) -> None:
    is_list = isinstance(span, list) and len(span) == 1 + finished
    if not is_list or any(type(place) is not int for place in span) or not 0 <= span[0] <= span[-1]:
        raise TypeError(f"{span!r:.50} are no places in the output")


def _described(marks: Mapping[str, Any], with_weights: bool) -> str:
    weights = f"(weights {marks['weights']})" if with_weights else None
    return " ".join(filter(None, (marks["model"], weights, marks.get("options"))))


def record_of(output: Path, command: str) -> Path:
    """The file that lists the recordings done, for outputs that do not list them themselves.

    Args:
        output: A folder, which need not exist yet, or a file.
        command: The command that writes; empty for a file, which has only one.
    """
    return output / f".{command}.jsonl" if command else output.with_name(f".{output.name}.jsonl")
