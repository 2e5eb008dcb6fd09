"""Where a command writes to."""

from __future__ import annotations

from pathlib import Path

from soundsep.errors import ConfigError

__all__ = ["check_output"]


def check_output(path: Path) -> None:
    """See that a file can be written: before the work and not after it.

    Raises:
        ConfigError: it cannot.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        return  # opening a pipe and closing it again would end it for its reader
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        raise ConfigError(f"cannot write to {path}: {error.strerror}") from error
