"""Fetch one file of the table, and check that its bytes are those of the table."""

from __future__ import annotations

import socket
import ssl
import time
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from soundsep.checkpoints.paced import paced_handlers
from soundsep.checkpoints.registry import PublishedFile
from soundsep.digests import file_digest
from soundsep.errors import WeightsError
from soundsep.files import replacing
from soundsep.progress import progress_bar

__all__ = ["fetch_file", "may_pass", "mismatch", "receive", "told"]

ATTEMPTS = 3
BACKOFF_SECONDS = 1.0  # before the second attempt; doubles with each further one
TIMEOUT_SECONDS = 30.0  # without a byte
MIN_BYTES_PER_SECOND, SPAN_SECONDS = 4096, 30.0  # the rate is measured over each such span
CHUNK_BYTES = 1 << 17
UNKNOWN_ISSUER = range(18, 22)  # of OpenSSL's codes: self-signed, in a chain or not, or no issuer
MAX_BYTES = 2**31  # of a file whose size is in no table


def mismatch(path: Path, file: PublishedFile) -> str | None:
    """What is wrong with a file, or ``None`` if it is the published one.

    Args:
        path: Path of the file.
        file: Its entry in the table.
    """
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
    """Download a file, with retries if they may help, and move it to ``target`` once it is whole.

    Args:
        url: Address, http or https.
        target: Path to move it to; missing folders are created.
        file: Its entry in the table, with size and sha256.
        progress: Show a progress bar, if there is a terminal.

    Raises:
        WeightsError: the file is not available, or is not what the table says.
    """
    last = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        try:
            _fetch_once(url, target, file, progress=progress)
        except (OSError, HTTPException, RuntimeError, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()
            message = told(error)
            # The same wrong hash twice is no accident of the connection.
            again = may_pass(error) and not (type(error) is RuntimeError and message == last)
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


def _fetch_once(url: str, target: Path, file: PublishedFile, *, progress: bool) -> None:
    """One attempt.

    Raises:
        RuntimeError: the file has the size but not the sha256 of the table.
        OSError: as `receive`.
    """
    with replacing(target) as (partial,):
        with partial.open("wb") as stream:
            receive(url, stream, size=file.size, progress=progress)
        if (found := file_digest(partial)) != file.sha256:
            raise RuntimeError(f"its sha256 is {found}")


def receive(
    url: str, stream: BinaryIO, *, size: int | None, progress: bool, resume: bool = False
) -> None:
    """Download into an open file, limited in size and with a minimal rate.

    Args:
        url: Address, http or https; a redirection to another scheme is not followed.
        stream: Open file to write to.
        size: Expected size in bytes; by default the size that the server announces.
        progress: Show a progress bar, if there is a terminal.
        resume: Request only the bytes that follow those in ``stream``, which was opened to append;
            if the server sends everything again, they are replaced.

    Raises:
        OSError: the download fails, ends early, stops, or is slower than `MIN_BYTES_PER_SECOND`.
        HTTPException: the server does not speak HTTP.
        ValueError: the server announces or sends another size, or redirects to another scheme.
    """
    timeout = socket.getdefaulttimeout() or TIMEOUT_SECONDS
    opener = build_opener(_SameScheme, *paced_handlers(_Pace))
    start = stream.tell() if resume else 0
    if start:
        opener.addheaders.append(("Range", f"bytes={start}-"))
    with opener.open(url, timeout=timeout) as reply:
        if start and not (reply.headers["Content-Range"] or "").startswith(f"bytes {start}-"):
            stream.truncate(0)
            start = 0
        announced = reply.headers["Content-Length"]
        if announced is not None and size is not None and int(announced) != size - start:
            raise ValueError(
                f"the server announces {announced} bytes where {size - start} are expected"
            )
        if size is None:
            if announced is None or not 0 <= int(announced) <= MAX_BYTES - start:
                raise ValueError(
                    f"the server announces {announced} bytes; expected a number up to "
                    f"{MAX_BYTES - start}"
                )
            size = start + int(announced)
        label = urlsplit(url).path.rsplit("/", 1)[-1]
        with progress_bar(
            progress=progress,
            total=size,
            initial=start,
            desc=label,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
        ) as bar:
            n_received, pace = start, _Pace()
            # read1 returns what has come; read would wait for the whole chunk, however slow
            while chunk := reply.read1(min(CHUNK_BYTES, size + 1 - n_received)):
                n_received += len(chunk)
                if n_received > size:
                    raise ValueError(f"the server sends more than the {size} bytes expected")
                stream.write(chunk)
                bar.update(len(chunk))
                pace.add(len(chunk))
        if n_received != size:
            raise ConnectionError(f"it ended after {n_received} of {size} bytes")


class _Pace:
    """The rate at which bytes arrive, measured over one span after another."""

    def __init__(self) -> None:
        self._n_bytes, self._began = 0, time.monotonic()

    def add(self, n_bytes: int) -> None:
        """Count bytes that have arrived.

        Raises:
            TimeoutError: they arrive too slowly.
        """
        self._n_bytes += n_bytes
        if (seconds := time.monotonic() - self._began) >= SPAN_SECONDS:
            if self._n_bytes < MIN_BYTES_PER_SECOND * seconds:
                raise TimeoutError(
                    f"it comes too slowly, below {MIN_BYTES_PER_SECOND} bytes per second for "
                    f"{seconds:.0f} s"
                )
            self._n_bytes, self._began = 0, time.monotonic()


class _SameScheme(HTTPRedirectHandler):
    """Refuse redirections from https to http, where anybody could answer, or to ftp."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        scheme = urlsplit(req.full_url).scheme
        if urlsplit(newurl).scheme != scheme:
            raise ValueError(
                f"the server redirects to {newurl[:200]!r}, which is not {scheme}; if you trust "
                "that address, name it instead"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def told(error: Exception) -> str:
    """What went wrong, and what to do where nobody vouches for the server.

    Args:
        error: Exception that `receive` raised.
    """
    cause = error.reason if isinstance(error, URLError) else error
    if getattr(cause, "verify_code", None) in UNKNOWN_ISSUER:
        return (
            f"{error}: Python does not know who signed the server's certificate. On macOS run "
            '"Install Certificates.command" in the folder of Python; elsewhere set SSL_CERT_FILE '
            "to a file of authorities, such as the one that `python -m certifi` names or that of "
            "your company's proxy"
        )
    return str(error) or type(error).__name__


def may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed.

    Args:
        error: Exception that the last attempt raised.
    """
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in (408, 429)
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError | InvalidURL):
        return False
    passing = (TimeoutError, ConnectionError, socket.gaierror, ssl.SSLError, HTTPException)
    return isinstance(cause, passing) or type(error) in (RuntimeError, URLError)
