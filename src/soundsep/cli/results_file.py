"""A file of results, one JSON object a line, that a later run can go on with."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from soundsep.errors import ConfigError
from soundsep.files import json_lines

__all__ = ["ResultsFile"]

START = b'{"source": '


class ResultsFile:
    """Takes results as they come; whatever ends the program, the lines written are whole.

    Only the last line can be cut off, by a kill or a full disk, and going on drops it.

    Args:
        path: The file.
        model: Name of the model, written into every line.
        options: What else the lines depend on, written into every line unless it is empty.
        resume: Go on with the file, if it is there.
        overwrite: Begin it anew, if it is there.

    Attributes:
        done: Whether the recording failed, of every source that the file holds.

    Raises:
        ConfigError: the file is there and neither option is given, cannot be written, or to be
            gone on with holds something else or the results of another model.
    """

    def __init__(
        self, path: Path, *, model: str, options: str = "", resume: bool, overwrite: bool
    ) -> None:
        self.path = path
        self._marks = {"model": model} | ({"options": options} if options else {})
        self.done: dict[str, bool] = {}
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name a file in it")
        if path.exists() and not (resume or overwrite):
            raise ConfigError(
                f"{path} exists; --resume goes on with it, --overwrite begins it anew"
            )
        try:
            if resume and path.exists():
                os.truncate(path, self._read_back())
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: lines reach the file in one call, which Ctrl-C does not interrupt.
            self._stream = io.FileIO(path, "a" if resume else "w")
        except OSError as error:
            raise self._failure(error) from error

    def _read_back(self) -> int:
        """Fill `done`; returns the size of the lines that are whole."""
        size = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n") and (line.startswith(START) or START.startswith(line)):
                    break
                try:
                    record = json.loads(line)
                    source, model, failed = record["source"], record["model"], "error" in record
                    found = " ".join(filter(None, (model, record.get("options"))))
                except (ValueError, TypeError, KeyError) as error:
                    raise ConfigError(
                        f"line {number} of {self.path} is not what soundsep classify writes; name "
                        "the file that is to be gone on with, or repair it"
                    ) from error
                if found != (wanted := " ".join(self._marks.values())):
                    raise ConfigError(
                        f"{self.path} holds results of the model {found}, not of {wanted}; choose "
                        "that model with the same options, or another file"
                    )
                self.done[source] = failed
                size += len(line)
        return size

    def write(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Add a line each.

        Raises:
            ConfigError: the disk is full, or gone.
        """
        records = [{**result, **self._marks} for result in results]
        try:
            rest = memoryview(json_lines(records))
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise self._failure(error) from error
        self.done.update((record["source"], "error" in record) for record in records)

    def _failure(self, error: OSError) -> ConfigError:
        return ConfigError(f"cannot write {self.path}: {error.strerror}")

    def close(self) -> None:
        """Close it."""
        self._stream.close()
