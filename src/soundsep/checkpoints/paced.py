"""HTTP whose every byte counts for the pace, headers and the lines between chunks as well.

A time limit for one read alone lets a server that sends a letter now and then go on for days.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Protocol, cast
from urllib.request import HTTPHandler, HTTPSHandler

__all__ = ["Pace", "paced_handlers"]

MAX_HEADER = 2**18  # bytes before the contents begin; a server may answer "wait" again and again


class Pace(Protocol):
    """What counts bytes."""

    def add(self, n_bytes: int) -> None:
        """Count bytes that have come.

        Raises:
            OSError: they come too slowly.
        """


def paced_handlers(new_pace: Callable[[], Pace]) -> list[Any]:
    """For `urllib.request.build_opener`: http and https.

    Args:
        new_pace: Called for every connection.
    """

    class Response(HTTPResponse):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._raw = _Raw(self.fp.detach(), new_pace())
            self.fp = io.BufferedReader(self._raw)

        def begin(self) -> None:
            super().begin()
            self._raw.n_left = None

    class Opens:
        def do_open(self, http_class: type[HTTPConnection], req: Any, **args: Any) -> Any:
            paced = type("Paced", (http_class,), {"response_class": Response})
            return super().do_open(paced, req, **args)  # type: ignore[misc]

    return [type("Http", (Opens, HTTPHandler), {}), type("Https", (Opens, HTTPSHandler), {})]


class _Raw(io.RawIOBase):
    """What a socket gives, counted."""

    def __init__(self, raw: io.RawIOBase, pace: Pace) -> None:
        self._socket, self._pace = raw, pace
        self.n_left: int | None = MAX_HEADER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        n_bytes = cast("int | None", self._socket.readinto(buffer))
        self._pace.add(n_bytes or 0)
        if self.n_left is not None:
            self.n_left -= n_bytes or 0
            if self.n_left < 0:
                raise HTTPException(f"the server sends more than {MAX_HEADER} bytes of headers")
        return n_bytes

    def close(self) -> None:
        self._socket.close()
        super().close()
