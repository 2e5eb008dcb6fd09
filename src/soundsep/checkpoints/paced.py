"""HTTP that measures the rate of all bytes: contents, headers and the lines between chunks.

A time limit per read is not enough: a server that sends a letter now and then could go on for days.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Protocol, cast
from urllib.request import HTTPHandler, HTTPSHandler

__all__ = ["Pace", "paced_handlers"]

MAX_HEADER = 2**18  # bytes before the contents; a server may send "100 Continue" without end


class Pace(Protocol):
    """A counter of bytes that refuses a rate that is too low."""

    def add(self, n_bytes: int) -> None:
        """Count bytes that have arrived.

        Args:
            n_bytes: Number of bytes.

        Raises:
            OSError: they arrive too slowly.
        """


def paced_handlers(new_pace: Callable[[], Pace]) -> list[Any]:
    """Handlers of http and https for `urllib.request.build_opener`.

    Args:
        new_pace: Makes the counter of a connection.
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
    """A socket's stream whose bytes are counted."""

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
