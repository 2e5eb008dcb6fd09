from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
import threading
import time
import uuid
from pathlib import Path

import pytest

from soundsep import files
from soundsep.errors import ConfigError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_several_files_get_their_names_together(tmp_path):
    folder = tmp_path / "new" / "er"
    first, second = folder / "a.bin", folder / "b.bin"
    with files.replacing(first, second, sync=True) as (one, two):
        one.write_bytes(b"1")
        two.write_bytes(b"2")
        assert not first.exists()
        assert one.parent == first.parent  # a move to another disk would copy
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    assert names(folder) == ["a.bin", "b.bin"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_fails_leaves_no_folder_that_was_not_there(tmp_path, error):
    kept = tmp_path / "kept"
    kept.mkdir()

    def fail(*paths, also=()):
        with files.replacing(*paths) as temporary:
            for file in (*temporary, *also):
                file.touch()
            raise error

    for paths in (
        [kept / "a.bin"],
        [tmp_path / "new" / "er" / "a.bin", tmp_path / "new" / "b.bin", tmp_path / "other" / "c"],
    ):
        with pytest.raises(type(error)):
            fail(*paths)
    assert names(tmp_path) == ["kept"]
    assert names(kept) == []
    other = tmp_path / "new" / "of another program"
    with pytest.raises(type(error)):
        fail(tmp_path / "new" / "a.bin", also=[other])
    assert names(tmp_path / "new") == [other.name]


def test_folders_that_another_run_removes_while_they_are_empty_are_made_again(
    tmp_path, monkeypatch
):
    touch, n_left = Path.touch, 2

    def removed(path):
        nonlocal n_left
        if n_left:
            n_left -= 1
            path.parent.rmdir()
        touch(path)

    monkeypatch.setattr(Path, "touch", removed)
    with files.replacing(tmp_path / "new" / "a.bin") as (temporary,):
        assert temporary.exists()  # from here on nobody can remove the folder
        temporary.write_bytes(b"new")
    assert names(tmp_path / "new") == ["a.bin"]


def test_a_folder_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "new" / "b.bin").mkdir(parents=True)
    with (
        pytest.raises(IsADirectoryError, match=r"b\.bin"),
        files.replacing(tmp_path / "new" / "a.bin", tmp_path / "new" / "b.bin"),
    ):
        pytest.fail("the block was run")
    assert names(tmp_path / "new") == ["b.bin"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail():
        with files.replacing(path) as (temporary,):
            temporary.write_bytes(b"ne")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_failure_names_the_file_and_not_the_temporary_one(tmp_path, monkeypatch):
    def full(self, data):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.bin'") as error:
        files.write_bytes(tmp_path / "a.bin", b"new")
    assert error.value.filename == str(tmp_path / "a.bin")
    monkeypatch.undo()
    (tmp_path / "closed").touch()
    with pytest.raises(OSError, match="closed'") as error:
        files.write_bytes(tmp_path / "closed" / "a.bin", b"new")
    assert ".tmp" not in str(error.value)
    with (
        pytest.raises(OSError, match="quota") as error,
        files.replacing(tmp_path / "a.bin") as (t,),
    ):
        raise OSError(errno.EDQUOT, "quota", str(t))
    assert error.value.filename == str(tmp_path / "a.bin")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    for mode in (0o600, 0o664, 0o440):
        path.chmod(mode)
        with files.replacing(path) as (temporary,):
            assert stat.S_IMODE(temporary.stat().st_mode) == mode | stat.S_IWUSR
            temporary.write_bytes(b"new")
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_current_folder_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError):
        files.write_bytes(Path(), b"new")
    assert names(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    assert files.is_stream(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with files.replacing(pipe, sync=True) as (temporary,):
            temporary.write_bytes(b"figures")
        assert os.read(reader, 100) == b"figures"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe.json"]


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null on this system")
def test_devices_are_streams_and_files_and_folders_are_not(tmp_path):
    with files.replacing(Path("/dev/full"), tmp_path / "a.bin") as temporary:
        assert [file.parent == Path("/dev") for file in temporary] == [False, False]
        for file in temporary:
            file.touch()  # nothing to refuse
    assert files.is_stream(Path("/dev/null"))
    assert not files.is_stream(tmp_path / "a.bin")
    assert not files.is_stream(tmp_path)
    assert not files.is_stream(tmp_path / "none")
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        files.write_bytes(Path("/dev/full"), b"more")


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null on this system")
def test_what_goes_to_a_device_leaves_nothing_in_the_folder_of_temporary_files(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files.write_bytes(Path("/dev/null"), b"gone")
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm on this system")
def test_files_in_memory_are_files():
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        assert not files.is_stream(Path(file.name))


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no /dev/fd on this system")
def test_a_file_by_a_name_in_dev_is_written_to_and_not_replaced(tmp_path):
    path = tmp_path / "log"
    with path.open("ab") as log:
        by_number = Path(f"/dev/fd/{log.fileno()}")  # as /dev/stdout may be
        assert files.is_stream(by_number)
        files.write_bytes(by_number, b"one ")
        files.write_bytes(by_number, b"two")
    assert path.read_bytes() == b"one two"
    assert names(tmp_path) == ["log"]


def test_a_name_that_is_too_long_is_no_stream():
    assert not files.is_stream(Path("x" * 5_000))


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), BrokenPipeError, "Broken pipe"),
        (OSError(errno.ENOSPC, "No space left"), ConfigError, r"cannot write .*a: No space left$"),
        (OSError("not even a number"), ConfigError, r"cannot write .*a: not even a number$"),
    ],
)
def test_an_output_that_cannot_be_written_is_an_error_of_ours(error, raised, message, tmp_path):
    with pytest.raises(raised, match=message), files.saving(tmp_path / "a"):
        raise error
    assert names(tmp_path) == []


def test_a_lock_is_held_until_its_file_is_closed(tmp_path):
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second:
        assert files.lock(first.fileno())
        assert not files.lock(second.fileno())
        first.close()
        assert files.lock(second.fileno())


@pytest.mark.skipif(os.name == "nt", reason="Windows locks otherwise")
@pytest.mark.parametrize(
    ("number", "is_ours"), [(errno.EAGAIN, False), (errno.EACCES, False), (errno.ENOLCK, True)]
)
def test_a_disk_without_locks_stops_nobody(number, is_ours, tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with (tmp_path / "lock").open("w") as file:
        assert files.lock(file.fileno()) == is_ours


def test_a_disk_that_does_not_take_it_is_told_before_the_name_is_given(tmp_path, monkeypatch):
    def refuse(number):
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with (
        pytest.raises(OSError, match="No space left"),
        files.replacing(path, sync=True) as (temporary,),
    ):
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_writers_at_once_do_not_meet(tmp_path):
    path, contents = tmp_path / "a.bin", [bytes([n]) * 100_000 for n in range(8)]
    threads = [threading.Thread(target=files.write_bytes, args=(path, c)) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["a.bin"]


def test_an_error_that_is_not_of_a_file_keeps_its_message(tmp_path):
    with pytest.raises(TimeoutError) as caught, files.replacing(tmp_path / "a.bin"):
        raise TimeoutError("timed out")
    assert str(caught.value) == "timed out"
    assert names(tmp_path) == []


@pytest.mark.parametrize("letter", ["a", "é", "日"])
def test_the_longest_names_can_be_written(letter, tmp_path):
    path = tmp_path / (letter * (255 // len(letter.encode())))
    files.write_bytes(path, b"all")
    with files.replacing(path) as (temporary,):
        assert len(os.fsencode(temporary.name)) <= 143  # of eCryptfs
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == [path.name]


def test_only_old_temporary_files_are_swept(tmp_path):
    stale, young = f".a.bin.{uuid.uuid4().hex}.tmp", f".b.{uuid.uuid4().hex}.tmp"
    others = [".mine.tmp", ".a.bin.456.tmp", "c.partial"]  # of somebody else
    kept = ["a.bin", ".hidden", young, *others]
    for name in (*kept, stale):
        (tmp_path / name).write_bytes(b"half")
    old = time.time() - 2 * files.STALE_SECONDS
    for name in ("a.bin", ".hidden", stale, *others):
        os.utime(tmp_path / name, (old, old))
    files.sweep(tmp_path)
    assert names(tmp_path) == sorted(kept)
    files.sweep(tmp_path / "nowhere")


def test_a_file_that_cannot_be_removed_does_not_keep_the_others(tmp_path, monkeypatch):
    for _ in range(3):
        path = tmp_path / f".a.bin.{uuid.uuid4().hex}.tmp"
        path.touch()
        os.utime(path, (0, 0))
    unlink, refused = Path.unlink, list[Path]()

    def refuse_the_first(path: Path) -> None:
        if not refused:
            refused.append(path)
            raise PermissionError(errno.EPERM, "another user's")
        unlink(path)

    monkeypatch.setattr(Path, "unlink", refuse_the_first)
    files.sweep(tmp_path)
    assert [*tmp_path.iterdir()] == refused


def test_json_lines_come_back(tmp_path):
    rows = [{"path": "Käfer\u2028.wav", "score": 0.5}, {"epoch": 2}]
    path = tmp_path / "rows.jsonl"
    files.write_json_lines(path, rows)
    assert files.read_json_lines(path) == rows
    assert path.read_bytes().isascii()
    with path.open("a") as stream:
        stream.write("\n")
    assert files.read_json_lines(path) == rows
    with path.open("a") as stream:
        stream.write('{"epoch": ')
    with pytest.raises(ValueError, match="Expecting value"):
        files.read_json_lines(path)


def test_json_for_people(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": [1, 2]})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert json.loads(text) == {"a": [1, 2]}
    assert text.startswith('{\n  "a"')
    assert text.endswith("}\n")


@pytest.mark.parametrize("text", ["[" * 200_000, b'{"a":' * 200_000, "{", "nil"])
def test_json_that_cannot_be_read_is_an_error_of_values(text):
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting"):
        files.parse_json(text)
    assert files.parse_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("name", ["a\0b", "a\0b/c", "\ud800", "\ud800/a"])
def test_a_path_that_no_file_can_have_is_refused_in_words(name):
    if os.name == "nt" and "\0" not in name:
        pytest.skip("names are UTF-16 there")
    with pytest.raises(ConfigError, match=r"cannot write .*Invalid argument"), files.saving(name):
        pass
