"""Official archives, from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from soundsep.cli import main
from soundsep.datasets import ESC50, archives, download
from soundsep.datasets.archives import ARCHIVES
from soundsep.errors import ConfigError, DatasetError
from soundsep.labels import ESC50_LABELS

HEAD = "filename,fold,target,category,esc10,src_file,take\n"
ROWS = [
    (f"{fold}-{fold}{target}-A-{target}.wav", fold, target, ESC50_LABELS[target], target == 0)
    for fold in range(1, 6)
    for target in (0, 2)
]


def archive_of(n_clips: int = len(ROWS)) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as zipped:
        lines = (f"{a},{b},{c},{d},{e},{b}{c},A\n" for a, b, c, d, e in ROWS)
        zipped.writestr("ESC-50-0123/meta/esc50.csv", HEAD + "".join(lines))
        zipped.writestr("ESC-50-0123/LICENSE", "as it is")
        zipped.writestr("ESC-50-0123/.gitignore", "hidden")
        for name, *_ in ROWS[:n_clips]:
            zipped.writestr(f"ESC-50-0123/audio/{name}", hashlib.sha256(name.encode()).digest())
    return data.getvalue()


BODY = archive_of()


class Server:
    """Serves one archive; can stop in the middle, and do without ranges."""

    def __init__(self) -> None:
        self.ranges: list[str | None] = []
        self.body, self.knows_ranges = BODY, True
        self.stops: list[int] = []  # where to break off, once each
        self.may_send = threading.Event()
        self.may_send.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers["Range"]
                outer.ranges.append(asked)
                outer.may_send.wait(60)
                first = int(asked[6:-1]) if asked and outer.knows_ranges else 0
                self.send_response(206 if first else 200)
                if first:
                    total = len(outer.body)
                    self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
                self.send_header("Content-Length", str(len(outer.body) - first))
                self.end_headers()
                stop = outer.stops.pop(0) if outer.stops else len(outer.body)
                self.wfile.write(outer.body[first:stop])

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    running = Server()
    for name in ("esc50", "esc10"):
        tiny = replace(
            ARCHIVES[name],
            url=f"http://127.0.0.1:{running.http.server_port}/archive.zip",
            size=len(BODY),
            digest=hashlib.sha256(BODY).hexdigest(),
            n_clips=10 if name == "esc50" else 5,
            max_files=20,
            max_bytes=10_000,
        )
        monkeypatch.setitem(ARCHIVES, name, tiny)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(archives, "BACKOFF_SECONDS", 0.001)
    yield running
    running.close()


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_data_set_is_fetched_and_unpacked_and_nothing_else_stays(server, tmp_path):
    data = download("esc50", tmp_path / "new" / "esc50", progress=False)
    assert isinstance(data, ESC50)
    assert len(data) == 10
    wanted = {"LICENSE", "meta/esc50.csv", *(f"audio/{name}" for name, *_ in ROWS)}
    assert files(tmp_path / "new") == {f"esc50/{name}" for name in wanted}
    assert server.ranges == [None]


def test_only_the_free_clips_are_kept_of_esc10(server, tmp_path):
    data = download("esc10", tmp_path, progress=False)
    assert {clip.label for clip in data} == {"dog"}
    assert sorted(clip.fold for clip in data) == [1, 2, 3, 4, 5]
    assert len(list((tmp_path / "audio").iterdir())) == 5


def test_what_is_there_is_left_as_it_is(server, tmp_path):
    download("esc50", tmp_path / "a", progress=False)
    assert len(download("esc50", tmp_path / "a", progress=False)) == 10
    assert server.ranges == [None]
    (tmp_path / "a" / "audio" / ROWS[0][0]).unlink()
    with pytest.raises(DatasetError, match="1 of 10 clips are missing"):
        download("esc50", tmp_path / "a", progress=False)


def test_two_runs_do_not_download_into_one_folder_at_once(server, tmp_path):
    folder = tmp_path / "esc50"
    server.may_send.clear()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(download, "esc50", folder, progress=False)
        while not server.ranges and not first.done():
            time.sleep(0.01)
        with pytest.raises(DatasetError, match="esc50 is being downloaded by another run; wait"):
            download("esc50", folder, progress=False)
        server.may_send.set()
        assert len(first.result()) == 10
    assert len(download("esc50", folder, progress=False)) == 10
    assert server.ranges == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["esc50"]


def test_a_run_that_came_while_another_failed_is_alone_too(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    waiting = []

    def lock(file):
        waiting.append(os.open(tmp_path / "a.partial" / ".lock", os.O_RDWR))
        return really(file)

    really = archives.lock
    with monkeypatch.context() as patch:
        patch.setattr(archives, "lock", lock)
        with pytest.raises(DatasetError, match="SOUNDSEP_OFFLINE"):
            download("esc50", tmp_path / "a", progress=False)
    assert really(*waiting)
    with pytest.raises(DatasetError, match="is being downloaded by another run"):
        download("esc50", tmp_path / "a", progress=False)
    os.close(*waiting)


def test_a_folder_with_something_else_is_refused(server, tmp_path):
    (tmp_path / "mine.txt").write_text("dear")
    with pytest.raises(DatasetError, match="is not empty"):
        download("esc50", tmp_path, progress=False)
    assert files(tmp_path) == {"mine.txt"}
    assert server.ranges == []


def test_a_download_that_breaks_goes_on_where_it_stopped(server, tmp_path):
    server.stops = [700, 1_000]
    assert len(download("esc50", tmp_path / "a", progress=False)) == 10
    assert server.ranges == [None, "bytes=700-", "bytes=1000-"]


def test_a_later_command_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    server.stops = [500, 500, 500]
    with pytest.raises(DatasetError, match="resumes where this stopped"):
        download("esc50", tmp_path / "a", progress=False)
    assert not (tmp_path / "a").exists()
    server.ranges.clear()
    assert len(download("esc50", tmp_path / "a", progress=False)) == 10
    assert server.ranges == ["bytes=500-"]
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_a_server_without_ranges_sends_all_of_it_again(server, tmp_path):
    server.knows_ranges, server.stops = False, [500]
    assert len(download("esc50", tmp_path / "a", progress=False)) == 10
    assert server.ranges == [None, "bytes=500-"]


def test_a_longer_rest_of_an_earlier_command_is_fetched_from_the_beginning(server, tmp_path):
    rest = tmp_path / "a.partial" / "ESC-50.zip.partial"
    rest.parent.mkdir()
    rest.write_bytes(BODY + b"!")
    assert len(download("esc50", tmp_path / "a", progress=False)) == 10
    assert server.ranges == [None]  # there is nothing to ask for after its end


def test_another_archive_is_refused_and_never_unpacked(server, tmp_path):
    server.body = BODY[:-1] + b"!"
    found = hashlib.sha256(server.body).hexdigest()
    with pytest.raises(
        DatasetError, match=f"not the official archive.*found {len(BODY)} .*{found}"
    ):
        download("esc50", tmp_path / "a", progress=False)
    assert files(tmp_path) == {"a.partial/.lock", "a.partial/ESC-50.zip"}


def test_a_longer_archive_is_not_received(server, tmp_path):
    server.body = BODY + b"!"
    with pytest.raises(DatasetError, match=f"announces {len(BODY) + 1} bytes"):
        download("esc50", tmp_path / "a", progress=False)
    assert (tmp_path / "a.partial" / "ESC-50.zip.partial").stat().st_size == 0


def test_without_a_network_the_error_says_where_to_put_the_archive(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    place = tmp_path / "a.partial" / "ESC-50.zip"
    with pytest.raises(DatasetError) as caught:
        download("esc50", tmp_path / "a", progress=False)
    assert ARCHIVES["esc50"].url in str(caught.value)
    assert str(place) in str(caught.value)
    assert server.ranges == []
    place.write_bytes(BODY)
    assert len(download("esc50", tmp_path / "a", progress=False)) == 10
    assert server.ranges == []


def test_what_else_lies_beside_the_archive_is_kept(server, tmp_path):
    (tmp_path / "a.partial").mkdir()
    (tmp_path / "a.partial" / "mine.txt").write_text("dear")
    (tmp_path / "a.partial" / "ESC-50.zip").write_bytes(BODY)
    (tmp_path / "a.partial" / "ESC-50.zip.partial").write_bytes(BODY[:9])  # it took too long
    assert len(download("esc50", tmp_path / "a", progress=False)) == 10
    assert files(tmp_path / "a.partial") == {"mine.txt"}


def test_an_archive_that_lacks_a_clip_is_refused(server, tmp_path, monkeypatch):
    server.body = archive_of(n_clips=9)
    lacking = replace(
        ARCHIVES["esc50"],
        size=len(server.body),
        digest=hashlib.sha256(server.body).hexdigest(),
    )
    monkeypatch.setitem(ARCHIVES, "esc50", lacking)
    with pytest.raises(DatasetError, match="1 of 10 clips are missing"):
        download("esc50", tmp_path / "a", progress=False)
    assert not (tmp_path / "a").exists()


def test_a_disk_that_is_too_small_is_told_before(server, tmp_path, monkeypatch):
    large = replace(ARCHIVES["esc50"], max_bytes=10**18)
    monkeypatch.setitem(ARCHIVES, "esc50", large)
    with pytest.raises(DatasetError, match="GB free"):
        download("esc50", tmp_path / "a", progress=False)
    assert server.ranges == []


def test_an_unknown_name_lists_all():
    with pytest.raises(ConfigError, match=r"'esc5', did you mean 'esc50'\?.*urbansound8k"):
        download("esc5", "x")


def test_the_command_says_what_came_and_under_which_licence(server, tmp_path, capsys):
    assert main(["download", "esc50", str(tmp_path / "a")]) == 0
    text = capsys.readouterr().out
    assert text == (
        f"10 clips of ESC-50 are in {tmp_path / 'a'}\n"
        "licence: CC BY-NC 3.0: non-commercial use only\n"
    )
    assert main(["download", "esc51", str(tmp_path / "b")]) == 2


def test_the_table_names_official_places_digests_and_counts(esc50_root):
    """Its sizes and digests were read from where the archives are published and used."""
    for archive in ARCHIVES.values():
        assert archive.url.startswith(("https://github.com/karolpiczak/", "https://zenodo.org/"))
        n_digits = hashlib.new(archive.algorithm, usedforsecurity=False).digest_size * 2
        assert len(archive.digest) == n_digits
    rows = (esc50_root / "meta" / "esc50.csv").read_text().splitlines()[1:]
    assert ARCHIVES["esc50"].n_clips == len(rows)
    assert ARCHIVES["esc10"].n_clips == sum(row.split(",")[4] == "True" for row in rows)
