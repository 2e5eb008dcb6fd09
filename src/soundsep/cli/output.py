"""Where a command writes to, and what it must not write over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from soundsep.errors import ConfigError

__all__ = ["check_free", "check_output", "is_regular", "refuse_recordings", "writing"]

HINT = "name another file, or --overwrite to replace it"


def check_output(
    path: Path, *, overwrite: bool = False, recordings: Iterable[str] = (), hint: str = HINT
) -> None:
    """See that a file can be written and nothing is lost: before the work and not after it.

    Args:
        path: The file.
        overwrite: It may exist already.
        recordings: What is heard, which is never written over.
        hint: What to do about a file that exists.

    Raises:
        ConfigError: it cannot be written, exists, or is a recording or called like one.
    """
    from soundsep.audio import AUDIO_SUFFIXES

    refuse_recordings([path], recordings)
    if path.suffix.lower() in AUDIO_SUFFIXES:
        raise ConfigError(
            f"{path} is called like a recording, and what is written is none; name another file"
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
            path.unlink()


def check_free(path: Path, *, overwrite: bool, hint: str = HINT) -> None:
    """See that a file may be written.

    Raises:
        ConfigError: it is a folder, or exists already.
    """
    if path.is_dir():
        raise ConfigError(f"cannot write to {path}: it is a folder; name a file in it")
    if is_regular(path) and not overwrite:
        raise ConfigError(f"{path} exists already; {hint}")


def refuse_recordings(outputs: Iterable[Path], recordings: Iterable[str]) -> None:
    """See that no output is one of the recordings, under whatever name or link.

    Raises:
        ConfigError: one is.
    """
    existing = {key: path for path in outputs if (key := _identity(path)) is not None}
    if not existing:
        return
    for recording in recordings:
        key = _identity(recording)
        if key is not None and (output := existing.get(key)) is not None:
            raise ConfigError(
                f"{output} is one of the recordings ({recording}), which are never written over; "
                "name another output"
            )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file where it cannot be written, such as to a full disk.

    Raises:
        ConfigError: so it is.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write to {path}: {error.strerror or error}") from error


def is_regular(path: Path) -> bool:
    """Whether it is a file that keeps what is written, and no terminal, pipe or device.

    What lies in ``/dev`` may lead to a file, such as ``/dev/stdout``, but is a stream.
    """
    try:
        return path.is_file() and path.parts[:2] != ("/", "dev")
    except OSError:  # too long
        return False


def _identity(path: str | Path) -> tuple[int, int] | None:
    """The same for all names of a file: links, hard links, other cases of letters."""
    try:
        status = os.stat(path)  # noqa: PTH116  # of text, as it is opened
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
