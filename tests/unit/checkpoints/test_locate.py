"""Fetching published weights, against a real HTTP server on this machine."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import json
import multiprocessing
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.message import Message
from http.client import HTTPException, IncompleteRead, InvalidURL
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from soundsep.checkpoints import cache, fetch, locate
from soundsep.checkpoints.registry import PUBLISHED, PublishedFile, PublishedModel
from soundsep.checkpoints.resolve import resolve
from soundsep.errors import ConfigError, SoundsepWarning, WeightsError
from soundsep.files import STALE_SECONDS

WEIGHTS = bytes(range(256)) * 1024  # 256 KiB: several chunks
CONFIG = b'{"format": "test"}\n'
CONTENTS = {"model.safetensors": WEIGHTS, "config.json": CONFIG}
TINY = PublishedModel(
    name="tiny",
    description="for tests",
    licence="MIT",
    files=tuple(
        PublishedFile(name, hashlib.sha256(body).hexdigest(), len(body))
        for name, body in CONTENTS.items()
    ),
)
MODEL_PATH, CONFIG_PATH = "/tiny/model.safetensors", "/tiny/config.json"

# What a child process runs first: the same table entry as here.
CHILD = f"""
import sys
from soundsep.checkpoints import locate
from soundsep.checkpoints.resolve import resolve
from soundsep.checkpoints.registry import PUBLISHED, PublishedFile, PublishedModel
PUBLISHED["tiny"] = {TINY!r}
"""

Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server:
    """Answers a path with its next planned reply, or with the right file."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.planned: dict[str, list[Reply]] = {}
        self.released = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if planned := outer.planned.get(self.path):
                    planned.pop(0)(self)
                else:
                    send(CONTENTS[self.path.rsplit("/", 1)[-1]])(self)

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def stall(self, sent: int) -> Reply:
        """Promise the whole body, send a part of it, then fall silent."""

        def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
            send(WEIGHTS[:sent], promise=len(WEIGHTS))(handler)
            handler.wfile.flush()
            self.released.wait(30)

        return reply


def send(body: bytes, *, status: int = 200, promise: int | None = None) -> Reply:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if promise is None else promise))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SOUNDSEP_WEIGHTS", "SOUNDSEP_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(PUBLISHED, "tiny", TINY)
    monkeypatch.setattr(fetch, "BACKOFF_SECONDS", 0.001)
    cache._folder_of.cache_clear()


@pytest.fixture
def mirror(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", server.url)
    return server


_EVENTS: list[str] | None = None


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _EVENTS is None:
        return
    if event.startswith("socket."):
        _EVENTS.append(event)
    elif event == "open" and isinstance(args[2], int):
        if args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            _EVENTS.append(f"write {args[0]}")
    elif event in ("os.mkdir", "os.remove", "os.rename", "os.utime", "os.chmod"):
        _EVENTS.append(f"{event} {args[0]}")


sys.addaudithook(_audit)  # cannot be taken off again; silent outside of `watched`


@contextmanager
def watched() -> Iterator[list[str]]:
    """Every socket call and every change on disk that the interpreter makes."""
    global _EVENTS
    _EVENTS = events = []
    try:
        yield events
    finally:
        _EVENTS = None


def put(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in CONTENTS.items():
        (folder / name).write_bytes(body)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_watching_sees_sockets_and_writes(tmp_path: Path) -> None:
    with watched() as events:
        socket.socket().close()
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / "file").unlink()
    assert {event.split()[0] for event in events} == {"socket.__new__", "write", "os.remove"}


def test_first_use_fetches_with_a_bar_and_second_opens_no_socket(
    mirror: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soundsep.progress.is_terminal", lambda stream: True)
    folder = resolve("tiny")
    assert contents(folder) == CONTENTS
    assert mirror.asked == [MODEL_PATH, CONFIG_PATH]
    shown = capsys.readouterr()
    assert "100%" in shown.err
    assert "256k/256k" in shown.err
    assert shown.out == ""
    with watched() as events:
        assert resolve("tiny") == folder
    assert events == []
    assert len(mirror.asked) == 2


def test_bar_can_be_turned_off(mirror: Server, capsys: pytest.CaptureFixture[str]) -> None:
    resolve("tiny", progress=False)
    assert capsys.readouterr().err == ""


def test_wrong_byte_is_refused_and_leaves_nothing(mirror: Server) -> None:
    wrong = WEIGHTS[:-1] + b"\x00"
    mirror.planned[MODEL_PATH] = [send(wrong)] * 9
    with pytest.raises(WeightsError) as caught:
        resolve("tiny")
    message = str(caught.value)
    assert mirror.url + MODEL_PATH in message
    assert TINY.files[0].sha256 in message
    assert hashlib.sha256(wrong).hexdigest() in message
    assert list(locate.cache_folder(TINY).iterdir()) == []
    assert len(mirror.asked) == 2  # the same wrong bytes twice are no accident


def test_body_cut_short_is_fetched_again(mirror: Server) -> None:
    mirror.planned[MODEL_PATH] = [
        send(WEIGHTS[:99_999], promise=len(WEIGHTS)),
        send(WEIGHTS[:9_999], promise=len(WEIGHTS)),
    ]
    assert contents(resolve("tiny")) == CONTENTS


@pytest.mark.parametrize("status", [500, 503, 429])
def test_passing_trouble_of_the_server_is_retried(mirror: Server, status: int) -> None:
    mirror.planned[MODEL_PATH] = [send(b"busy", status=status)] * 2
    assert contents(resolve("tiny")) == CONTENTS
    assert mirror.asked == [MODEL_PATH] * 3 + [CONFIG_PATH]


def test_lasting_trouble_of_the_server_ends(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    patched = SimpleNamespace(sleep=slept.append, monotonic=time.monotonic)
    monkeypatch.setattr(fetch, "time", patched)
    mirror.planned[MODEL_PATH] = [send(b"busy", status=503)] * 9
    with pytest.raises(WeightsError, match=r"HTTP Error 503.*attempts made: 3"):
        resolve("tiny")
    assert mirror.asked == [MODEL_PATH] * fetch.ATTEMPTS
    assert slept == [fetch.BACKOFF_SECONDS, 2 * fetch.BACKOFF_SECONDS]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (HTTPError("http://x", 408, "timeout", Message(), None), True),
        (HTTPError("http://x", 499, "closed", Message(), None), False),
        (URLError(socket.gaierror("no name")), True),
        (URLError(ssl.SSLError("broken record")), True),
        (URLError(OSError(errno.EHOSTUNREACH, "no route to host")), True),
        (URLError(ssl.SSLCertVerificationError("self-signed")), False),
        (IncompleteRead(b""), True),
        (InvalidURL("a space in it"), False),
        (PermissionError("no place to write"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, passes: bool) -> None:
    assert fetch.may_pass(error) == passes


def test_an_error_without_words_is_told_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise HTTPException

    monkeypatch.setattr(fetch, "_fetch_once", fail)
    target = tmp_path / "tiny" / "model.safetensors"
    with pytest.raises(WeightsError, match=r"HTTPException\. Expected .*attempts made: 3"):
        fetch.fetch_file("http://x/y", target, TINY.files[0], progress=False)


@pytest.mark.parametrize(
    ("code", "is_unknown"), [(18, True), (19, True), (20, True), (10, False), (62, False)]
)
def test_a_python_that_knows_no_authorities_is_told_where_to_get_some(
    code: int, is_unknown: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As that of python.org on macOS; other faults are the server's: expired, another name."""
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code = code

    def fail(*_: Any, **__: Any) -> None:
        raise URLError(error)

    monkeypatch.setattr(fetch, "_fetch_once", fail)
    target = tmp_path / "tiny" / "model.safetensors"
    with pytest.raises(WeightsError, match="certificate verify failed") as caught:
        fetch.fetch_file("https://x/y", target, TINY.files[0], progress=False)
    assert ("SSL_CERT_FILE" in str(caught.value)) == is_unknown
    assert ("Install Certificates.command" in str(caught.value)) == is_unknown


@pytest.mark.parametrize("left", [None, WEIGHTS, WEIGHTS[:-1], WEIGHTS + b"!"])
@pytest.mark.parametrize("fails", [False, True])
def test_what_counts_is_the_file_that_is_there_in_the_end(
    fails: bool, left: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another process may have been quicker, or have damaged it."""
    target = tmp_path / "tiny" / "model.safetensors"
    target.parent.mkdir()

    def once(*_: Any, **__: Any) -> None:
        if left is not None:
            target.write_bytes(left)
        if fails:
            raise PermissionError("in use")

    monkeypatch.setattr(fetch, "_fetch_once", once)
    if left == WEIGHTS:
        fetch.fetch_file("http://x/y", target, TINY.files[0], progress=False)
        return
    with pytest.raises(WeightsError, match="in use" if fails else "just fetched .* is damaged"):
        fetch.fetch_file("http://x/y", target, TINY.files[0], progress=False)


def test_the_rate_of_each_span_counts_and_none_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(fetch, "time", clock)
    just_enough = int(fetch.MIN_BYTES_PER_SECOND * fetch.SPAN_SECONDS)
    pace = fetch._Pace()
    for n_bytes in (just_enough, 9 * just_enough):
        pace.add(1)
        clock.now += fetch.SPAN_SECONDS
        pace.add(n_bytes - 1)
    clock.now += fetch.SPAN_SECONDS - 1
    pace.add(just_enough - 1)
    clock.now += 1
    with pytest.raises(TimeoutError, match=r"too slowly.* for 30 s"):
        pace.add(0)


@pytest.mark.parametrize("announced", [None, "-1", "1001"])
def test_a_file_of_no_table_needs_a_length_within_the_bound(
    announced: str | None, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if announced is not None:
            handler.send_header("Content-Length", announced)
        handler.end_headers()

    monkeypatch.setattr(fetch, "MAX_BYTES", 1_000)
    stream = io.BytesIO()
    server.planned["/x"] = [reply, send(WEIGHTS[:999], promise=1_000), send(WEIGHTS[:1_000])]
    with pytest.raises(ValueError, match=f"announces {announced} bytes.*up to 1000"):
        fetch.receive(f"{server.url}/x", stream, size=None, progress=False)
    assert stream.getvalue() == b""
    with pytest.raises(ConnectionError, match="ended after 999 of 1000"):
        fetch.receive(f"{server.url}/x", io.BytesIO(), size=None, progress=False)
    fetch.receive(f"{server.url}/x", stream, size=None, progress=False)
    assert stream.getvalue() == WEIGHTS[:1_000]


def test_a_file_of_no_table_is_gone_on_with(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rest(handler: http.server.BaseHTTPRequestHandler) -> None:
        first = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {first}-999/1000")
        handler.send_header("Content-Length", str(1_000 - first))
        handler.end_headers()
        handler.wfile.write(WEIGHTS[first:1_000])

    server.planned["/x"] = [rest, rest]
    url, begun = f"{server.url}/x", tmp_path / "x"
    begun.write_bytes(WEIGHTS[:400])
    with begun.open("ab") as stream:
        monkeypatch.setattr(fetch, "MAX_BYTES", 999)
        with pytest.raises(ValueError, match=r"announces 600 bytes; .* up to 599"):
            fetch.receive(url, stream, size=None, progress=False, resume=True)
        monkeypatch.setattr(fetch, "MAX_BYTES", 1_000)
        fetch.receive(url, stream, size=None, progress=False, resume=True)
    assert begun.read_bytes() == WEIGHTS[:1_000]


def test_bytes_from_another_place_than_asked_for_replace_what_is_there(
    server: Server, tmp_path: Path
) -> None:
    def whole(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 0-999/1000")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(WEIGHTS[:1_000])

    server.planned["/x"] = [whole] * 2
    for size in (None, 1_000):
        (begun := tmp_path / "x").write_bytes(b"other" * 80)
        with begun.open("ab") as stream:
            fetch.receive(f"{server.url}/x", stream, size=size, progress=False, resume=True)
        assert begun.read_bytes() == WEIGHTS[:1_000]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "it is missing"),
        (b"abc", ""),
        (b"ab", "expected 3 bytes, found 2"),
        (b"abcd", "expected 3 bytes, found 4"),
        (b"abd", "expected sha256 ba78"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    body: bytes | None, problem: str, tmp_path: Path
) -> None:
    path, file = tmp_path / "x", PublishedFile("x", hashlib.sha256(b"abc").hexdigest(), 3)
    if body is not None:
        path.write_bytes(body)
    said = fetch.mismatch(path, file) or ""
    assert said.startswith(problem)
    assert bool(said) == bool(problem)
    of_any_bytes = fetch.mismatch(path, replace(file, sha256=None))  # only their number is known
    assert (of_any_bytes is None) == (body is not None and len(body) == 3)


@pytest.mark.parametrize("status", [403, 404])
def test_missing_file_is_not_asked_for_again(mirror: Server, status: int) -> None:
    mirror.planned[MODEL_PATH] = [send(b"no", status=status)] * 9
    with pytest.raises(WeightsError, match=f"HTTP Error {status}.*attempts made: 1") as caught:
        resolve("tiny")
    assert mirror.url + MODEL_PATH in str(caught.value)
    assert mirror.asked == [MODEL_PATH]


def test_silent_server_times_out(mirror: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 0.3)
    mirror.planned[MODEL_PATH] = [mirror.stall(1000)] * 9
    start = time.monotonic()
    with pytest.raises(WeightsError, match="timed out"):
        resolve("tiny")
    assert time.monotonic() - start < 10
    assert socket.getdefaulttimeout() is None
    assert list(locate.cache_folder(TINY).iterdir()) == []


def test_server_that_wakes_up_again_is_good_enough(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 0.3)
    mirror.planned[MODEL_PATH] = [mirror.stall(1000)]
    assert contents(resolve("tiny")) == CONTENTS


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:  # bound, but not listening
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SOUNDSEP_WEIGHTS", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(WeightsError, match=r"refused.*attempts made: 3"):
            resolve("tiny")


def test_timeout_the_caller_has_set_is_respected(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    mirror.planned[MODEL_PATH] = [mirror.stall(1000)]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.2)
    start = time.monotonic()
    try:
        with pytest.raises(WeightsError, match="timed out"):
            resolve("tiny")
        assert socket.getdefaulttimeout() == 0.2
    finally:
        socket.setdefaulttimeout(before)
    assert time.monotonic() - start < fetch.TIMEOUT_SECONDS / 2


def test_a_file_of_no_table_has_2_gib_at_most(server: Server) -> None:
    most = 2**31
    server.planned["/x"] = [send(b"", promise=most), send(b"", promise=most + 1)]
    with pytest.raises(ConnectionError, match=f"ended after 0 of {most}"):
        fetch.receive(f"{server.url}/x", io.BytesIO(), size=None, progress=False)
    with pytest.raises(ValueError, match=f"announces {most + 1} bytes"):
        fetch.receive(f"{server.url}/x", io.BytesIO(), size=None, progress=False)


@pytest.mark.parametrize("announced", ["1e3", "many", "262144, 262144"])
def test_a_length_that_is_no_number_is_refused(mirror: Server, announced: str) -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", announced)
        handler.end_headers()

    mirror.planned[MODEL_PATH] = [reply] * 9
    with pytest.raises(WeightsError, match="attempts made: 1"):
        resolve("tiny")
    assert list(locate.cache_folder(TINY).iterdir()) == []


@pytest.mark.parametrize("damage", [WEIGHTS[:-1] + b"\x00", WEIGHTS[:100], b""])
def test_damaged_cache_is_repaired(mirror: Server, damage: bytes) -> None:
    folder = resolve("tiny")
    (folder / "model.safetensors").write_bytes(damage)
    mirror.asked.clear()
    assert contents(resolve("tiny")) == CONTENTS
    assert mirror.asked == [MODEL_PATH]  # the config was good


def test_a_cached_file_that_the_disk_cannot_read_is_fetched_again(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, digest = resolve("tiny"), fetch.file_digest
    broken = folder / "model.safetensors"
    inode = broken.stat().st_ino

    def read(path: Path) -> str:
        if path.stat().st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return digest(path)

    monkeypatch.setattr(fetch, "file_digest", read)
    mirror.asked.clear()
    assert contents(resolve("tiny")) == CONTENTS
    assert mirror.asked == [MODEL_PATH]


def test_killed_download_is_repaired_and_swept(mirror: Server) -> None:
    mirror.planned[MODEL_PATH] = [mirror.stall(200_000)]
    folder = locate.cache_folder(TINY)
    child = subprocess.Popen([sys.executable, "-c", CHILD + "resolve('tiny')"])
    deadline = time.monotonic() + 240  # importing torch on a busy machine
    while not any(path.stat().st_size for path in folder.glob(".*.tmp")):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (partial,) = folder.iterdir()
    assert 0 < partial.stat().st_size < len(WEIGHTS)
    resolve("tiny")
    assert contents(folder).items() >= CONTENTS.items()
    old = time.time() - 2 * STALE_SECONDS
    os.utime(partial, (old, old))
    resolve("tiny")
    assert contents(folder) == CONTENTS


def test_killed_conversion_is_swept_when_nobody_can_be_at_it(mirror: Server) -> None:
    folder = resolve("tiny")
    young, old = (folder / f".config.json.{n * 32}.tmp" for n in "12")
    for path in (young, old):
        path.write_bytes(b"half")
    long_ago = time.time() - 2 * STALE_SECONDS
    os.utime(old, (long_ago, long_ago))
    resolve("tiny")
    assert contents(folder) == {**CONTENTS, young.name: b"half"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts its processes by fork")
def test_eight_processes_at_once_end_with_one_valid_file(mirror: Server) -> None:
    together = threading.Barrier(8, timeout=60)

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        together.wait()  # nobody ends before all eight are on their way
        send(WEIGHTS)(handler)

    mirror.planned[MODEL_PATH] = [reply] * 8
    script = """
import multiprocessing
context = multiprocessing.get_context("fork")  # torch is imported once
work = lambda: resolve("tiny", progress=False)
processes = [context.Process(target=work) for _ in range(8)]
for process in processes: process.start()
for process in processes: process.join()
sys.exit(any(process.exitcode for process in processes))
"""
    subprocess.run([sys.executable, "-c", CHILD + script], check=True, timeout=240)
    assert mirror.asked.count(MODEL_PATH) == 8
    assert contents(locate.cache_folder(TINY)) == CONTENTS


def test_threads_download_once(mirror: Server) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(resolve("tiny"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [locate.cache_folder(TINY)] * 8
    assert len(mirror.asked) == 2
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("variable", ["SOUNDSEP_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_names_file_url_and_place(
    mirror: Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with watched() as events, pytest.raises(WeightsError) as caught:
        resolve("tiny")
    assert events == []
    for name, path in (("model.safetensors", MODEL_PATH), ("config.json", CONFIG_PATH)):
        assert str(locate.cache_folder(TINY) / name) in str(caught.value)
        assert mirror.url + path in str(caught.value)
    assert "SOUNDSEP_WEIGHTS" in str(caught.value)


def test_offline_says_how_the_cache_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(locate.cache_folder(TINY))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    assert resolve("tiny") == folder
    (folder / "config.json").write_bytes(CONFIG[:-1])
    with pytest.raises(WeightsError, match=r"expected 19 bytes, found 18") as caught:
        resolve("tiny")
    assert "model.safetensors" not in str(caught.value)
    assert f"/v{locate.metadata.version('soundsep')}/weights/tiny/config.json" in str(caught.value)


def test_offline_0_is_online(mirror: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "0")
    assert contents(resolve("tiny")) == CONTENTS


@pytest.mark.parametrize("variable", ["SOUNDSEP_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_is_said_in_the_words_of_huggingface_hub(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for value in ("1", "on", "YES", "True", " true "):
        monkeypatch.setenv(variable, value)
        assert locate.is_offline(), value
    for value in ("", "0", "off", "no", "false", "10"):
        monkeypatch.setenv(variable, value)
        assert not locate.is_offline(), value


def test_filled_cache_works_read_only() -> None:
    folder = put(locate.cache_folder(TINY))
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555)  # does not stop root, hence the watching
    try:
        with watched() as events:
            assert resolve("tiny") == folder
        assert events == []
    finally:
        folder.chmod(0o755)


def test_cache_that_cannot_be_written_is_one_clear_error(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(locate, "release_url", lambda model, file: f"{server.url}/{file.name}")
    with pytest.raises(WeightsError, match=r"attempts made: 1.*SOUNDSEP_CACHE"):
        resolve("tiny")
    assert server.asked == []


def test_cache_that_cannot_be_written_serves_from_a_mirror(
    mirror: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(SoundsepWarning, match="the cache cannot be written"):
        folder = resolve("tiny")
    assert contents(folder) == CONTENTS
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        assert resolve("tiny") == folder
    assert mirror.asked == [MODEL_PATH, CONFIG_PATH]  # the second time it was there
    mirrored = put(tmp_path / "mirror" / "tiny")
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(tmp_path / "mirror"))
    with watched() as events:
        assert resolve("tiny") == mirrored
    assert events == []


def test_a_cache_that_is_there_and_may_not_be_written_serves_from_a_mirror(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tempfile.TemporaryFile

    def closed(*args: Any, dir: Path | None = None) -> Any:
        if dir is not None and dir.is_relative_to(locate.cache_root()):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))
        return made(*args, dir=dir)

    monkeypatch.setattr(cache.tempfile, "TemporaryFile", closed)
    with pytest.warns(SoundsepWarning, match="the cache cannot be written.*Permission denied"):
        folder = resolve("tiny")
    assert contents(folder) == CONTENTS
    assert not folder.is_relative_to(locate.cache_root())


def test_a_cache_without_room_serves_from_a_mirror(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(map(len, CONTENTS.values()))
    usage = shutil.disk_usage(Path.cwd())
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: usage._replace(free=size - 1))
    with pytest.warns(SoundsepWarning, match="the cache cannot be written.*No space left"):
        folder = resolve("tiny")
    assert contents(folder) == CONTENTS
    assert not folder.is_relative_to(locate.cache_root())
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: usage._replace(free=size))
    assert resolve("tiny") == locate.cache_folder(TINY)


def test_no_home_serves_from_a_mirror(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("SOUNDSEP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(ConfigError, match="no place for a cache"):
        resolve("tiny")
    mirrored = put(tmp_path / "mirror" / "tiny")
    with monkeypatch.context() as patch:
        patch.setenv("SOUNDSEP_WEIGHTS", str(tmp_path / "mirror"))
        assert resolve("tiny") == mirrored
        patch.setenv("SOUNDSEP_WEIGHTS", server.url)
        assert contents(resolve("tiny")) == CONTENTS
    found = put(tmp_path / "checkout" / "weights" / "tiny")  # nothing is to be fetched
    monkeypatch.setattr(locate, "_checkout", lambda: tmp_path / "checkout")
    assert resolve("tiny") == found


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    """No length, and no end, as far as the other side listens."""
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        for _ in range(1_000):
            handler.wfile.write(WEIGHTS)


def test_download_stops_at_the_size_in_the_table(mirror: Server) -> None:
    mirror.planned[MODEL_PATH] = [endless]
    with pytest.raises(WeightsError, match=f"sends more than the {len(WEIGHTS)} bytes expected"):
        resolve("tiny")
    assert mirror.asked == [MODEL_PATH]
    assert list(locate.cache_folder(TINY).iterdir()) == []
    mirror.planned[MODEL_PATH] = [send(WEIGHTS + WEIGHTS)]
    with pytest.raises(WeightsError, match=f"announces {2 * len(WEIGHTS)} bytes where"):
        resolve("tiny")


def test_body_without_a_length_is_taken(mirror: Server) -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(WEIGHTS)

    mirror.planned[MODEL_PATH] = [reply]
    assert contents(resolve("tiny")) == CONTENTS


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ],
)
def test_server_that_drips_before_its_contents_is_given_up(
    start: bytes, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            handler.wfile.write(start)
            while not mirror.released.wait(0.02):
                handler.wfile.write(b"x")

    monkeypatch.setattr(fetch, "SPAN_SECONDS", 0.5)
    mirror.planned[MODEL_PATH] = [drip] * 9
    start_time = time.monotonic()
    with pytest.raises(WeightsError, match=r"too slowly, below 4096 bytes per second.*made: 3"):
        resolve("tiny")
    assert time.monotonic() - start_time < 30


def test_server_that_never_comes_to_its_contents_is_given_up(mirror: Server) -> None:
    def wait(handler: http.server.BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            while not mirror.released.is_set():
                handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)

    mirror.planned[MODEL_PATH] = [wait] * 9
    with pytest.raises(WeightsError, match="bytes of headers"):
        resolve("tiny")


def test_server_that_drips_is_given_up(mirror: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(b"", promise=len(WEIGHTS))(handler)
        with suppress(OSError):
            while not mirror.released.wait(0.02):
                handler.wfile.write(b"x")

    monkeypatch.setattr(fetch, "SPAN_SECONDS", 0.5)
    mirror.planned[MODEL_PATH] = [drip] * 9
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"too slowly, below 4096 bytes per second.*made: 3"):
        resolve("tiny")
    assert time.monotonic() - start < 20
    assert list(locate.cache_folder(TINY).iterdir()) == []


def test_server_that_sends_much_around_little_content_is_given_up(
    mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pad(handler: http.server.BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(300):
                mirror.released.wait(0.01)
                handler.wfile.write(b"1;" + b"x" * 60_000 + b"\r\na\r\n")

    monkeypatch.setattr(fetch, "SPAN_SECONDS", 0.2)
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    mirror.planned[MODEL_PATH] = [pad]
    with pytest.raises(WeightsError, match="too slowly, below 4096 bytes per second"):
        resolve("tiny")


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1:1/x", "ftp://127.0.0.1:1/x", "file:///etc/passwd", "data:,x"]
)
def test_redirection_to_another_scheme_is_not_followed(mirror: Server, address: str) -> None:
    def redirect(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    mirror.planned[MODEL_PATH] = [redirect] * 9
    with pytest.raises(WeightsError, match=r"redirect.*attempts made: 1|Redirect.*made: 1"):
        resolve("tiny")
    assert mirror.asked == [MODEL_PATH]


def test_redirection_within_a_scheme_is_followed(mirror: Server) -> None:
    def redirect(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/elsewhere/model.safetensors")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    mirror.planned[MODEL_PATH] = [redirect]
    assert contents(resolve("tiny")) == CONTENTS


def test_mirror_folder_is_used_in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = put(tmp_path / "mirror" / "tiny")
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(tmp_path / "mirror"))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    with watched() as events:
        assert resolve("tiny") == folder
    assert events == []
    wrong = WEIGHTS[:-1] + b"\x00"
    (folder / "model.safetensors").write_bytes(wrong)
    with pytest.raises(WeightsError, match="SOUNDSEP_WEIGHTS") as caught:
        resolve("tiny")
    assert str(folder / "model.safetensors") in str(caught.value)
    assert TINY.files[0].sha256 in str(caught.value)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)


def test_an_address_in_capitals_that_ends_in_a_slash_is_a_mirror_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", server.url.replace("http", "HTTP") + "/")
    assert contents(resolve("tiny")) == CONTENTS
    assert server.asked == [MODEL_PATH, CONFIG_PATH]


@pytest.mark.parametrize(
    "value",
    [
        "no/such/folder",
        "ftp://127.0.0.1/weights",
        "file:///etc",
        "~nobody-of-that-name/x",
        "x" * 5_000,
    ],
)
def test_mirror_must_be_folder_or_http(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", value)
    with pytest.raises(ConfigError, match="SOUNDSEP_WEIGHTS"):
        resolve("tiny")


def test_order_is_cache_mirror_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "repo" / "src" / "soundsep").mkdir(parents=True)
    (tmp_path / "repo" / "pyproject.toml").write_text("")
    monkeypatch.setattr(
        locate, "__file__", str(tmp_path / "repo/src/soundsep/checkpoints/locate.py")
    )
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(tmp_path / "mirror"))
    with pytest.raises(WeightsError):
        resolve("tiny")
    checkout = put(tmp_path / "repo" / "weights" / "tiny")
    assert resolve("tiny") == checkout
    mirror = put(tmp_path / "mirror" / "tiny")
    assert resolve("tiny") == mirror
    cache = put(locate.cache_folder(TINY))
    assert resolve("tiny") == cache


@pytest.mark.parametrize(("folder", "is_project"), [("site-packages", True), ("src", False)])
def test_weights_beside_a_package_are_a_checkout_only_in_src_of_a_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str, is_project: bool
) -> None:
    put(tmp_path / "weights" / "tiny")
    if is_project:
        (tmp_path / "pyproject.toml").write_text("")
    installed = tmp_path / folder / "soundsep" / "checkpoints" / "locate.py"
    monkeypatch.setattr(locate, "__file__", str(installed))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    with pytest.raises(WeightsError, match="not complete in the cache"):
        resolve("tiny")


def test_a_mirror_that_lacks_a_file_or_holds_a_model_of_yours_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = put(tmp_path / "checkout" / "weights" / "tiny")
    monkeypatch.setattr(locate, "_checkout", lambda: tmp_path / "checkout")
    mirror = tmp_path / "mirror"
    (put(mirror / "tiny") / "model.safetensors").unlink()
    (put(mirror) / "config.json").write_bytes(b"{}")  # called as every model's is
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(mirror))
    assert resolve("tiny") == found


@pytest.mark.parametrize(
    ("note", "found"),
    [
        ('{{"url": "{uri}", "dir_info": {{}}}}', True),
        ('{{"url": "https://example.org/soundsep.whl"}}', False),
        ('{{"url": "https://example.org{path}"}}', False),  # of another machine
        ('{{"url": 3}}', False),
        ("not JSON", False),
        ("", False),
    ],
)
def test_checkout_that_the_package_was_installed_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, note: str, found: bool
) -> None:
    checkout = put(tmp_path / "my clone" / "weights" / "tiny").parents[1]
    installed = tmp_path / "site-packages" / "soundsep" / "checkpoints" / "locate.py"
    monkeypatch.setattr(locate, "__file__", str(installed))
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")

    class Distribution:
        def read_text(self, name: str) -> str:
            assert name == "direct_url.json"
            return note.format(uri=checkout.as_uri(), path=checkout.as_uri()[7:])

    monkeypatch.setattr(locate.metadata, "distribution", lambda _: Distribution())
    if found:
        assert resolve("tiny") == checkout / "weights" / "tiny"
    else:
        with pytest.raises(WeightsError, match="not complete in the cache"):
            resolve("tiny")


@pytest.mark.parametrize("closed", ["weights", "model.safetensors"])
def test_a_checkout_of_somebody_else_is_passed_over(
    closed: str, mirror: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As when root has installed the package from a folder in its home."""
    checkout = put(tmp_path / "clone" / "weights" / "tiny").parents[1]
    note = json.dumps({"url": checkout.as_uri(), "dir_info": {}})
    installed = tmp_path / "site-packages" / "soundsep" / "checkpoints" / "locate.py"
    monkeypatch.setattr(locate, "__file__", str(installed))
    monkeypatch.setattr(
        locate.metadata, "distribution", lambda _: SimpleNamespace(read_text=lambda _: note)
    )
    monkeypatch.delenv("SOUNDSEP_WEIGHTS")
    monkeypatch.setattr(locate, "release_url", lambda model, file: f"{mirror.url}/tiny/{file.name}")
    stat = Path.stat

    def forbidden(self: Path, **options: Any) -> os.stat_result:
        if self.is_relative_to(checkout) and self.name == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", forbidden)
    assert contents(resolve("tiny")) == CONTENTS
    assert mirror.asked == [MODEL_PATH, CONFIG_PATH]


def packed(folder: Path) -> Path:
    """A package that holds the model, as the wheel's does."""
    (folder / "_weights" / "tiny").mkdir(parents=True)
    for name, body in CONTENTS.items():
        (folder / "_weights" / "tiny" / name).write_bytes(body)
    return folder


def test_the_package_s_own_weights_come_first(
    tmp_path: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = packed(tmp_path / "package")
    monkeypatch.setattr(locate.resources, "files", lambda name: package)
    assert locate.find_published(TINY) == package / "_weights" / "tiny"
    assert mirror.asked == []
    assert not locate.cache_root().exists()
    (package / "_weights" / "tiny" / "config.json").write_bytes(b"{}")
    with pytest.raises(WeightsError, match=r"config.json \(the installed package\) is not"):
        locate.find_published(TINY)


def test_a_zipped_package_s_weights_are_unpacked_for_the_process(
    tmp_path: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = packed(tmp_path / "package")
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for file in package.rglob("*.*"):
            archive.write(file, file.relative_to(package))
    monkeypatch.setattr(
        locate.resources, "files", lambda name: zipfile.Path(tmp_path / "package.zip")
    )
    folder = locate.find_published(TINY)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == CONTENTS
    (folder / "config.json").unlink()  # as systems do that tidy their folder of temporary files
    assert locate.find_published(TINY) == folder
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == CONTENTS
    assert mirror.asked == []
    assert not locate.cache_root().exists()


def test_a_package_without_the_model_is_passed_over(
    tmp_path: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate.resources, "files", lambda name: tmp_path)
    assert locate.find_published(TINY) == locate.cache_folder(TINY)


def test_cache_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOUNDSEP_CACHE", "~/here")
    assert locate.cache_root() == Path.home() / "here"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOUNDSEP_CACHE", "here")
    assert locate.cache_root() == tmp_path / "here"  # and stays there in another folder
    monkeypatch.delenv("SOUNDSEP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert locate.cache_root() == tmp_path / "soundsep"
    for ignored in ("", "relative"):  # as the XDG specification says
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert locate.cache_root() == Path.home() / ".cache" / "soundsep"


def test_the_folder_of_a_process_goes_with_it() -> None:
    code = (
        "from soundsep.checkpoints.cache import folder_of_this_process\n"
        "folder = folder_of_this_process()\n"
        "(folder / 'weights').mkdir()\n"  # it is there
        "print(folder)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    folder = Path(ended.stdout.strip())
    assert (folder.name[:9], folder.exists(), ended.stderr) == ("soundsep-", False, "")


FORKED = """
import os, sys
from soundsep.checkpoints.cache import folder_of_this_process

folder = folder_of_this_process()
if child := os.fork():
    os.waitpid(child, 0)
    assert folder == folder_of_this_process() and folder.exists()
else:
    own = folder_of_this_process()  # it is there when the parent has ended before
    assert own != folder and own.exists()
    print(own, flush=True)
    sys.exit()
print(folder)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_folder_of_a_process_does_not_go_with_one_that_was_forked_from_it() -> None:
    """As workers of a server are, which end while it goes on."""
    ended = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    folders = ended.stdout.split()
    assert [Path(folder).exists() for folder in folders] == [False, False]


DOWNLOADING = (
    CHILD
    + """
import os, signal, threading, time, warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)  # of the fork
threading.Thread(target=resolve, args=("tiny",), daemon=True).start()
while not list(Path(sys.argv[1]).rglob("*.tmp")):  # the download has begun
    time.sleep(0.01)
if child := os.fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
signal.alarm(20)
os._exit((resolve("tiny") / "model.safetensors").stat().st_size != 262144)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_does_not_wait_for_a_download_of_its_parent(mirror: Server, tmp_path: Path) -> None:
    """As of a server that fetches a model in a thread while it starts its workers."""
    mirror.planned[MODEL_PATH] = [mirror.stall(1)]
    command = [sys.executable, "-c", DOWNLOADING, str(tmp_path / "cache")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert mirror.asked == [MODEL_PATH, MODEL_PATH, CONFIG_PATH]


WORKER = """
import multiprocessing, sys
from soundsep.checkpoints.cache import folder_of_this_process

def run():
    print(folder_of_this_process(), flush=True)

if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=run)
    process.start()
    process.join()
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_folder_of_a_process_of_multiprocessing_goes_with_it(
    method: str, tmp_path: Path
) -> None:
    (tmp_path / "run.py").write_text(WORKER)
    command = [sys.executable, str(tmp_path / "run.py"), method]
    ended = subprocess.run(command, capture_output=True, text=True)
    folder = Path(ended.stdout.strip())
    assert (folder.name[:9], folder.exists(), ended.stderr) == ("soundsep-", False, "")


def test_other_contents_get_another_folder() -> None:
    config = PublishedFile("config.json", "1" * 64, 5)
    newer = PublishedModel(name="tiny", description="", licence="", files=(TINY.files[0], config))
    assert locate.cache_folder(newer) != locate.cache_folder(TINY)
    assert locate.cache_folder(newer).parent == locate.cache_folder(TINY).parent


def test_release_url_comes_from_the_package_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    from email.message import Message

    about = Message()
    about["Version"] = "1.2.3"
    about["Project-URL"] = "Changelog, https://example.org"
    about["Project-URL"] = "Repository, https://github.com/someone/fork/"
    monkeypatch.setattr(locate.metadata, "metadata", lambda name: about)
    assert locate.release_url(TINY, TINY.files[1]) == (
        "https://raw.githubusercontent.com/someone/fork/v1.2.3/weights/tiny/config.json"
    )
    released = replace(TINY, release="0.9.0")  # these bytes are no newer
    assert "/v0.9.0/weights/tiny/" in locate.release_url(released, TINY.files[1])
    about.replace_header("Project-URL", "Repository, https://example.org/x")
    del about["Project-URL"]
    with pytest.raises(WeightsError, match="SOUNDSEP_WEIGHTS"):
        locate.release_url(TINY, TINY.files[1])


def test_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def metadata(name: str) -> None:
        raise locate.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(locate.metadata, "metadata", metadata)
    with pytest.raises(WeightsError, match="not installed"):
        locate.release_url(TINY, TINY.files[0])


def test_table_and_download_import_without_torch_or_hub() -> None:
    code = (
        "import sys, soundsep.checkpoints.registry, soundsep.checkpoints.locate\n"
        "sys.exit(bool({'torch', 'huggingface_hub', 'safetensors'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)
