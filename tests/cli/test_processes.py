"""``--processes``: the same output as from one, and nothing left behind."""

from __future__ import annotations

import json
import operator
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soundsep.cli import main, workers
from soundsep.cli.workers import shared_out
from soundsep.errors import AudioError, ConfigError

RATE = 16_000


def fill(folder: Path, n: int, *, step: int = 400) -> Path:
    """So many recordings, each of another length; one is none, one is cut off."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        noise = 0.1 * rng.standard_normal(RATE // 2 + step * i)
        soundfile.write(folder / f"{i:03}.flac", noise, RATE)
    (folder / "001.flac").write_bytes(b"no sound")
    whole = (folder / "004.flac").read_bytes()
    (folder / "004.flac").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    return fill(tmp_path_factory.mktemp("many") / "clips", 300, step=100)


def rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_clips_have_the_same_results_in_the_same_order(model, tmp_path, capsys):
    clips = fill(tmp_path / "clips", 11)
    found = {}
    for n in (1, 2):
        output = tmp_path / f"{n}.jsonl"
        options = ["--model", model, "--batch-size", 3, "--processes", n, "-o", output]
        assert main(["classify", *map(str, options), str(clips)]) == 1
        found[n] = rows(output)
        said = capsys.readouterr().err
        assert said == f"soundsep: 2 of 11 recordings failed; the results are in {output}\n"
    assert [Path(row["path"]).name for row in found[2]] == [f"{i:03}.flac" for i in range(11)]
    for one, two in zip(found[1], found[2], strict=True):  # torch sums in another order
        for row in (one, two):
            row["predictions"] = {p["label"]: p["score"] for p in row.get("predictions", ())}
            row.pop("label", None)
        assert two.pop("predictions") == pytest.approx(one.pop("predictions"), abs=2e-6)
        assert one == two


def test_events_and_what_was_found_before_damage_are_the_same(model, tmp_path, capsys):
    recordings = fill(tmp_path / "recordings", 6)
    said, tables = [], []
    for n in ("1", "2"):
        table = tmp_path / f"{n}.jsonl"
        options = ["--model", model, "--threshold", "0.01", "--processes", n, "-o", str(table)]
        assert main(["events", *options, str(recordings)]) == 1
        said.append(capsys.readouterr().err.replace(str(table), "table"))
        tables.append(rows(table))
    assert said[0] == said[1]
    assert {Path(row["path"]).name for row in tables[1]} >= {"000.flac", "005.flac"}
    for one, two in zip(*tables, strict=True):
        assert two.pop("score") == pytest.approx(one.pop("score"), abs=2e-6)
        assert one == two


def test_one_group_of_recordings_needs_no_other_process(model, tmp_path, monkeypatch):
    monkeypatch.setattr("soundsep.cli.workers.shared_out", None)
    clips = fill(tmp_path / "clips", 5)
    assert main(["classify", "--model", model, "--processes", "9", str(clips)]) == 1
    assert main(["events", "--model", model, "--processes", "9", str(clips / "000.flac")]) == 0


def start(model: str, clips: Path, output: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A run that has written something, and the processes it has started."""
    options = ["--model", model, "--batch-size", "2", "--processes", "2", "-o", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "soundsep.cli", "classify", *options, str(clips)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What runs in the background of a shell is started deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and (not output.exists() or not output.stat().st_size):
        time.sleep(0.005)
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, [n for n in map(int, started) if b"spawn_main" in command_of(n)]


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""  # it has ended


def have_ended(processes: list[int]) -> bool:
    end = time.monotonic() + 10
    while (still := any(map(command_of, processes))) and time.monotonic() < end:
        time.sleep(0.01)
    return not still


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM, one is stopped", "SIGKILL", "SIGKILL to one"])
def test_a_run_that_is_stopped_leaves_nothing_and_goes_on(how, model, many, tmp_path, capsys):
    output = tmp_path / "out.jsonl"
    process, workers = start(model, many, output)
    assert len(workers) == 2
    with process:
        if how == "Ctrl-C":  # which a terminal sends to all of its processes
            os.killpg(process.pid, signal.SIGINT)
        elif how == "SIGKILL to one":
            os.kill(workers[1], signal.SIGKILL)
        else:
            if how.endswith("stopped"):  # as by Ctrl-Z, or a debugger
                os.kill(workers[1], signal.SIGSTOP)
            process.send_signal(signal.Signals[how.partition(",")[0]])
        message = process.stderr.read()
    codes = {"Ctrl-C": 130, "SIGKILL": -9, "SIGKILL to one": 2}
    assert process.returncode == codes.get(how, 143)
    assert "Traceback" not in message
    assert "resource_tracker" not in message
    if how == "SIGKILL to one":
        assert "error: one of the processes has ended (signal 9)" in message
    assert have_ended(workers)
    n_written = len(rows(output))
    assert 0 < n_written < 300
    options = ["--model", model, "-o", str(output), "--resume"]
    assert main(["classify", *options, str(many)]) == 1
    assert [Path(row["path"]).name for row in rows(output)] == [f"{i:03}.flac" for i in range(300)]
    assert f"{n_written} done before" in capsys.readouterr().err


def test_an_error_and_a_warning_come_where_the_answer_would():
    answers = shared_out([2, 4, 0, 5], partial(partial, operator.truediv, 8), n_processes=2)
    assert [next(answers), next(answers)] == [4, 2]
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        next(answers)
    raising = partial(partial, operator.methodcaller("read_text"))
    with pytest.raises(FileNotFoundError):
        next(shared_out([Path("gone")], raising, n_processes=1))
    with pytest.warns(UserWarning, match="^heard$"):
        assert next(shared_out(["heard"], partial(partial, warnings.warn), n_processes=1)) is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [(MemoryError, "MemoryError"), (AudioError, "__import__('soundsep').AudioError")],
)
def test_an_error_that_the_command_tells_stays_what_it_is(kind, name):
    code = f"(_ for _ in ()).throw({name}('short'))"
    with pytest.raises(kind, match=r"^short$"):
        next(shared_out([code], partial(partial, eval), n_processes=1))


def test_a_process_that_ended_says_how():
    with pytest.raises(ConfigError, match=r"has ended \(exit code 3\)"):
        next(shared_out([3], partial(partial, os._exit), n_processes=1))


def test_what_fails_before_the_first_task_comes_in_its_place():
    with pytest.raises(FileNotFoundError):
        next(shared_out([1, 2], Path("gone").read_text, n_processes=2))


def test_a_warning_of_several_processes_is_given_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        list(shared_out(["heard", "heard"], partial(partial, warnings.warn), n_processes=2))
    assert [str(one.message) for one in caught] == ["heard"]


def test_few_tasks_are_asked_for_ahead_and_each_has_its_own_warnings_only():
    asked, loud = [], "__import__('warnings').warn"
    tasks = (asked.append(text) or text for text in "abcde")
    prepare = partial(eval, f"{loud}('the model is old') or {loud}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = shared_out(tasks, prepare, n_processes=1)
        for number, text in enumerate("abcde", 1):
            assert next(answers) is None
            assert asked == [*"abcde"][: number + 1]
            assert str(caught[-1].message) == text
    assert len(caught) == 5  # none of preparing: who shares out has been given that


def test_tasks_are_worked_on_side_by_side(tmp_path):
    """Each waits until the other has begun."""
    meet = (
        "open({!r}, 'w').close() or any("
        "__import__('os').path.exists({!r}) or __import__('time').sleep(0.01) for _ in range(2000))"
    )
    places = str(tmp_path / "one"), str(tmp_path / "two")
    tasks = [meet.format(*places), meet.format(*places[::-1])]
    assert list(shared_out(tasks, partial(partial, eval), n_processes=2)) == [True, True]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
def test_a_process_in_a_long_recording_ends_with_the_one_that_was_killed():
    busy = "print(__import__('os').getpid(), flush=True) or __import__('time').sleep(600)"
    code = (
        "from functools import partial\n"
        "from soundsep.cli.workers import shared_out\n"
        f"next(shared_out([{busy!r}], partial(partial, eval), n_processes=1))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        worker = int(process.stdout.readline())
        assert b"spawn_main" in command_of(worker)
        process.kill()
    assert have_ended([worker])


def test_no_wait_for_an_answer_is_without_an_end(monkeypatch):
    """Windows would not notice Ctrl-C in it."""
    waits = []

    def noted(futures: list[Future], timeout: float) -> None:
        waits.append(timeout)
        wait(futures, timeout=timeout)

    monkeypatch.setattr(workers, "wait", noted)
    assert list(shared_out([1.2], partial(partial, time.sleep), n_processes=1)) == [None]
    assert len(waits) > 2
    assert max(waits) <= 0.5


@pytest.mark.parametrize(("n_threads", "n_each"), [(5, 2), (1, 1)])
def test_processes_share_the_threads_and_have_one_at_least(n_threads, n_each, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    asked = ["__import__('torch').get_num_threads()"]
    assert list(shared_out(asked, partial(partial, eval), n_processes=2)) == [n_each]
