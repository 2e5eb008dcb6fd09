"""A file with one JSON object a line for every recording, that a later run can go on with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from soundsep.cli.claimed_file import ClaimedFile
from soundsep.cli.output import is_regular
from soundsep.errors import ConfigError
from soundsep.files import json_lines

__all__ = ["ResultsFile", "record_of"]

START = b'{"path": '


class ResultsFile:
    """Takes results as they come; whatever ends the program, the lines written are whole.

    Only the last line can be cut off, by a kill, and going on drops it.

    Args:
        path: The file.
        model: Name of the model, written into every line.
        options: What else the lines depend on, written into every line unless it is empty.
        command: Whose results these are, for messages.
        resume: Go on with the file, if it is there.
        overwrite: Begin it anew, if it is there.
        keep: Keys of a line that `kept` gives back.
        shared: Several runs may add to it, of several models; lines of others are not gone on with.

    Attributes:
        done: Whether the recording failed, of every path that the file holds.
        kept: Of every such path, what was asked to be kept.
        last: What was kept of the last line.

    Raises:
        ConfigError: the file is there and neither option is given, another run writes it, it cannot
            be written, or to be gone on with holds something else or the results of another model.
    """

    def __init__(
        self,
        path: Path,
        *,
        model: str,
        options: str = "",
        command: str = "classify",
        resume: bool,
        overwrite: bool,
        keep: tuple[str, ...] = (),
        shared: bool = False,
    ) -> None:
        self.path, self._command, self._keep, self._shared = path, command, keep, shared
        self._marks = {"model": model} | ({"options": options} if options else {})
        self.done: dict[str, bool] = {}
        self.kept: dict[str, dict[str, Any]] = {}
        self.last: dict[str, Any] = {}
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name a file in it")
        if is_regular(path) and not (resume or overwrite or shared):
            raise ConfigError(
                f"{path} exists; --resume goes on with it, --overwrite begins it anew"
            )
        self._file = ClaimedFile(path, may_exist=resume or overwrite or shared, shared=shared)
        try:
            if resume and is_regular(path):
                size = self._read_back()
                if not shared:
                    self._file.cut(size)
            elif not shared:
                self._file.cut(0)
            if shared and self._file.size:
                self._end_line()
        except BaseException:
            self.close()
            raise

    def _read_back(self) -> int:
        """Fill `done`; returns the size of the lines that are whole."""
        size = 0
        wanted = " ".join(self._marks.values())
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n") and (line.startswith(START) or START.startswith(line)):
                    break
                try:
                    record = json.loads(line)
                    path, model = record["path"], record["model"]
                    found = " ".join(filter(None, (model, record.get("options"))))
                    if not isinstance(path, str):
                        raise TypeError("the path is no text")
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    if self._shared:
                        continue
                    raise ConfigError(
                        f"line {number} of {self.path} is not what soundsep {self._command} "
                        "writes; name the file that is to be gone on with, or repair it"
                    ) from error
                if found != wanted and not self._shared:
                    raise ConfigError(
                        f"{self.path} holds results of the model {found}, not of {wanted}; choose "
                        "that model with the same options, or another file"
                    )
                if found == wanted:
                    self._remember(record)
                size += len(line)
        return size

    def _end_line(self) -> None:
        """A line that another run was killed in must not swallow the next one."""
        with self.path.open("rb") as stream:
            stream.seek(-1, 2)
            if stream.read() != b"\n":
                self._file.append(b"\n")

    def _remember(self, record: Mapping[str, Any]) -> None:
        path = record["path"]
        if record.get("unfinished"):
            self.done.pop(path, None)
        else:
            self.done[path] = "error" in record
        if self._keep:
            self.last = self.kept[path] = {k: record[k] for k in self._keep if k in record}

    def write(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Add a line each.

        Raises:
            ConfigError: the disk is full or gone, or another program has changed the file.
        """
        records = [{**result, **self._marks} for result in results]
        self._file.append(json_lines(records))
        for record in records:
            self._remember(record)

    def close(self) -> None:
        """Close it."""
        self._file.close()


def record_of(output: Path, command: str) -> Path:
    """The file that says which recordings are done, of outputs that do not say so themselves.

    Args:
        output: A folder that exists or is to be made, or a file.
        command: Whose; empty for a file, which has one only.
    """
    return output / f".{command}.jsonl" if command else output.with_name(f".{output.name}.jsonl")
