"""Fetch one file of the table, and see that it is what the table says."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, InvalidURL
from pathlib import Path
from urllib.error import HTTPError, URLError

from soundsep.checkpoints.registry import PublishedFile
from soundsep.errors import WeightsError
from soundsep.files import file_digest
from soundsep.progress import is_terminal

__all__ = ["TIMEOUT_SECONDS", "fetch_file", "mismatch"]

ATTEMPTS = 3
BACKOFF_SECONDS = 1.0  # before the second attempt; doubles with each further one
TIMEOUT_SECONDS = 30.0  # without a byte


def mismatch(path: Path, file: PublishedFile) -> str | None:
    """What is wrong with the file at ``path``, or None where it is the published one."""
    try:
        if not path.is_file():
            return "it is missing"
        if (size := path.stat().st_size) != file.size:
            return f"expected {file.size} bytes, found {size}"
        found = file_digest(path)
    except OSError as error:
        return f"it cannot be read: {error}"
    if file.sha256 is not None and found != file.sha256:
        return f"expected sha256 {file.sha256}, found {found}"
    return None


def fetch_file(url: str, target: Path, file: PublishedFile, *, progress: bool) -> None:
    """Download a file, again where that may help, and put it at ``target`` once it is whole.

    Raises:
        WeightsError: it cannot be had, or is not what the table says.
    """
    from torch import hub  # here, so that listing the table does not cost importing torch

    shown = progress and is_terminal(sys.stderr)
    last = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _default_timeout(TIMEOUT_SECONDS):
                hub.download_url_to_file(url, str(target), file.sha256, progress=shown)
        except (OSError, HTTPException, RuntimeError, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()
            message = str(error) or type(error).__name__
            # A body cut short arrives as a wrong hash; the same wrong hash twice is no accident.
            again = _may_pass(error) and not (type(error) is RuntimeError and message == last)
            last = message
            if mismatch(target, file) is None:  # another process was quicker
                return
            if again and attempt + 1 < ATTEMPTS:
                continue
            raise WeightsError(
                f"cannot fetch {url} to {target}: {message}. Expected {file.size} bytes with "
                f"sha256 {file.sha256}; attempts made: {attempt + 1}. Check the connection, that "
                "this version is released, and that SOUNDSEP_CACHE can be written; or set "
                f"SOUNDSEP_WEIGHTS to a mirror that holds {target.parents[1].name}/{file.name}"
            ) from error
        break
    if problem := mismatch(target, file):
        raise WeightsError(f"{target}, just fetched from {url}, is damaged: {problem}")


def _may_pass(error: Exception) -> bool:
    """Whether the next attempt may fare better."""
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in (408, 429)
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError | InvalidURL):
        return False
    passing = (TimeoutError, ConnectionError, socket.gaierror, ssl.SSLError, HTTPException)
    return isinstance(cause, passing) or type(error) in (RuntimeError, URLError)


@contextmanager
def _default_timeout(seconds: float) -> Iterator[None]:
    """Let a silent server fail instead of hang.

    torch.hub passes no time-out to urlopen, and what urlopen then takes is the process-wide
    default; so that is set for the length of the download, unless the caller has set one, and
    put back. Sockets that other threads open meanwhile get it too: the price of torch's loader.
    """
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds if previous is None else previous)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
