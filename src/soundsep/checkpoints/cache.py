"""The folder of everything that soundsep fetches."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

from soundsep.errors import ConfigError, warn

__all__ = ["cache_root", "folder_of_this_process", "writable"]


def cache_root() -> Path:
    """Folder of everything that soundsep fetches; it may not exist yet.

    Raises:
        ConfigError: there is no home folder, and neither ``SOUNDSEP_CACHE`` nor
            ``SOUNDSEP_WEIGHTS`` is set.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    default = Path(base if Path(base).is_absolute() else "~/.cache") / "soundsep"
    try:
        return Path(os.environ.get("SOUNDSEP_CACHE") or default).expanduser().absolute()
    except RuntimeError as error:  # no home
        if os.environ.get("SOUNDSEP_WEIGHTS"):
            return folder_of_this_process()
        raise ConfigError(
            f"no place for a cache: {error}; set SOUNDSEP_CACHE to a folder"
        ) from error


def writable(folder: Path, n_bytes: int = 0) -> Path:
    """A folder of the cache that can be written.

    If the cache cannot be written or is full, and ``SOUNDSEP_WEIGHTS`` is set, this is a temporary
    folder that lasts as long as the process.

    Args:
        folder: Folder in the cache; created if possible.
        n_bytes: Size of what is to be written, as far as it is known.

    Warns:
        SoundsepWarning: a temporary folder was taken.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if shutil.disk_usage(folder).free < n_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        return folder
    except OSError as error:
        if not os.environ.get("SOUNDSEP_WEIGHTS"):
            return folder  # writing into it will raise an error that says what is wrong
        other = folder_of_this_process() / folder.relative_to(cache_root())
        if not other.exists():
            warn(
                f"the cache cannot be written ({error}), so what SOUNDSEP_WEIGHTS holds is fetched "
                "or converted again by every process; set SOUNDSEP_CACHE to another folder"
            )
            other.mkdir(parents=True, exist_ok=True)
        return other


def folder_of_this_process() -> Path:
    """A folder that is removed when the process ends; a forked one has another."""
    return _folder_of(os.getpid())


@functools.cache
def _folder_of(process: int) -> Path:
    folder = tempfile.mkdtemp(prefix="soundsep-")
    # Unlike `tempfile.TemporaryDirectory`, removed by none that was forked from this process, and
    # also at the end of one that multiprocessing started.
    Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=0)
    return Path(folder)
