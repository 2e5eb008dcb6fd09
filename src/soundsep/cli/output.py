"""Where a command writes, and what it must not overwrite."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from soundsep.errors import ConfigError
from soundsep.files import is_stream

__all__ = ["check_free", "check_output", "is_regular", "refuse_recordings", "writing"]

HINT = "name another file, or give --overwrite to replace it"


def check_output(
    path: Path, *, overwrite: bool = False, recordings: Iterable[str] = (), hint: str = HINT
) -> None:
    """Check, before the work, that a file can be written and nothing is lost.

    Args:
        path: The file.
        overwrite: Allow an existing file.
        recordings: The inputs, which are never overwritten.
        hint: Advice about an existing file.

    Raises:
        ConfigError: the file cannot be written, exists, is a recording or is named like one.
    """
    from soundsep.audio import AUDIO_SUFFIXES

    refuse_recordings([path], recordings)
    if path.suffix.lower() in AUDIO_SUFFIXES:
        raise ConfigError(
            f"{path} has the suffix of a recording, but the output is none; name another file"
        )
    check_free(path, overwrite=overwrite, hint=hint)
    if path.exists() and not is_regular(path):
        return  # opening a pipe and closing it again would end it for its reader
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        with path.open("ab"):
            pass
        if is_new:
            path.resolve().unlink()  # a link to a file that is not there yet stays


def check_free(path: Path, *, overwrite: bool, hint: str = HINT) -> None:
    """Check that a file may be written.

    Raises:
        ConfigError: the path is a folder, or exists already.
    """
    if path.is_dir():
        raise ConfigError(f"cannot write to {path}: it is a folder; name a file in it")
    if is_regular(path) and not overwrite:
        raise ConfigError(f"{path} exists already; {hint}")


def refuse_recordings(outputs: Iterable[Path], recordings: Iterable[str]) -> None:
    """Check that no output is one of the recordings, under any name or link.

    Raises:
        ConfigError: an output is a recording.
    """
    existing = {key: path for path in outputs if (key := _identity(path)) is not None}
    if not existing:
        return
    for recording in recordings:
        key = _identity(recording)
        if key is not None and (output := existing.get(key)) is not None:
            raise ConfigError(
                f"{output} is one of the recordings ({recording}), which are never overwritten; "
                "name another output"
            )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of writing, such as a full disk, into one that names the file.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write to {path}: {error.strerror or error}") from error


def is_regular(path: Path) -> bool:
    """Whether a path is a file that keeps what is written, not a terminal, pipe or device."""
    try:
        return path.is_file() and not is_stream(path)
    except OSError:  # too long
        return False


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Equal for all names of one file: links, hard links, upper and lower case."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a string, as when it is opened
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
