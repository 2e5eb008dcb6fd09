from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
import soundfile
import torch

from soundsep import AudioError, Classifier, ClassifierConfig, MelConfig, Pipeline
from soundsep.pipeline import ahead, call
from soundsep.pipeline.ahead import read_ahead


def read(item: object) -> torch.Tensor:
    if isinstance(item, str) and item == "bad":
        raise AudioError("bad")
    return torch.full((10,), len(str(item)), dtype=torch.float32)


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if "read-ahead" in t.name]


def eventually(holds) -> bool:
    end = time.monotonic() + 30
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.005)
    return found


def test_recordings_come_in_order_with_errors_in_their_place():
    items = ["a", b"bytes", "bad", np.zeros(3), "no\0name", "bad", "d"]
    outcomes = []
    for item, load in read_ahead(items, read, n_ahead=3):
        try:
            outcomes.append((item, float(load()[0])))
        except AudioError as error:
            outcomes.append((item, str(error)))
    assert [item is given for (item, _), given in zip(outcomes, items, strict=True)] == [True] * 7
    expected = ["bad" if isinstance(i, str) and i == "bad" else float(len(str(i))) for i in items]
    assert [outcome for _, outcome in outcomes] == expected
    assert threads() == []


def test_files_are_read_before_they_are_asked_for_and_only_so_many():
    taken, begun = [], []

    def paths():
        for number in range(20):
            taken.append(number)
            yield str(number)

    def load(item: str) -> torch.Tensor:
        begun.append(item)
        return torch.zeros(1)

    pairs = read_ahead(paths(), load, n_ahead=4)
    assert taken == []
    next(pairs)[1]()
    assert eventually(lambda: len(begun) == 5)
    assert taken == [*range(5)]
    next(pairs)[1]()
    assert eventually(lambda: len(begun) == 6)
    assert taken == [*range(6)]
    pairs.close()
    assert threads() == []
    assert len(begun) == 6


@pytest.mark.parametrize(("n_threads", "n_readers"), [(64, 8), (6, 3), (1, 1)])
def test_few_files_are_asked_for_and_read_at_once(monkeypatch, n_threads, n_readers):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    taken, begun, goes_on = [], [], threading.Event()

    def paths():
        for number in range(200):
            taken.append(number)
            yield str(number)

    def load(item: str) -> torch.Tensor:
        begun.append(item)
        goes_on.wait(30)
        return torch.zeros(1)

    pairs = read_ahead(paths(), load, n_ahead=1_000)
    next(pairs)
    assert eventually(lambda: len(begun) == n_readers)
    time.sleep(0.01)
    assert (len(taken), len(begun)) == (65, n_readers)
    goes_on.set()
    pairs.close()


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_read_ahead_is_bounded_in_bytes(monkeypatch, fails):
    monkeypatch.setattr(ahead, "MAX_AHEAD_BYTES", 3_000)
    monkeypatch.setattr(ahead, "MAX_THREADS", 1)
    begun = []

    def load(item: str) -> torch.Tensor:
        begun.append(item)
        if fails and item == "0":  # what gave no waveform takes no room
            raise AudioError("bad")
        return torch.zeros(250)  # 1,000 bytes

    pairs = read_ahead(map(str, range(12)), load, n_ahead=10)
    for number, (item, get) in enumerate(pairs):
        assert item == str(number)
        n_begun = min(max(number, fails) + 3, 12)
        assert eventually(lambda n=n_begun: len(begun) >= n)
        time.sleep(0.01)
        assert len(begun) == n_begun  # 3,000 bytes that were not taken
        if fails and number == 0:
            with pytest.raises(AudioError, match="bad"):
                get()
        else:
            assert get().shape == (250,)
    assert begun == [str(i) for i in range(12)]  # each once


def test_a_recording_that_is_being_read_counts_by_its_size(monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "MAX_AHEAD_BYTES", 7_999)  # eight times a thousand is more
    monkeypatch.setattr(ahead, "MAX_THREADS", 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    (path := tmp_path / "file").write_bytes(bytes(1_000))
    begun, goes_on = [], threading.Event()

    def load(item: object) -> torch.Tensor:
        begun.append(item)
        goes_on.wait(30)
        return torch.zeros(2)

    for item in (path, str(path), bytes(1_000)):
        begun.clear()
        goes_on.clear()
        pairs = read_ahead([item] * 3, load, n_ahead=5)
        get = next(pairs)[1]
        time.sleep(0.01)
        assert begun == [item]
        goes_on.set()
        assert [len(get()), *(len(get()) for _, get in pairs)] == [2, 2, 2]
        assert begun == [item] * 3


def test_without_threads_recordings_are_read_in_their_turn(monkeypatch):
    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ahead.ThreadPoolExecutor, "submit", no_thread)
    read_items = []
    pairs = read_ahead("abc", lambda item: read_items.append(item) or read(item), n_ahead=2)
    assert [(item, float(get()[0]), len(read_items)) for item, get in pairs] == [
        ("a", 1.0, 1),
        ("b", 1.0, 2),
        ("c", 1.0, 3),
    ]


def test_where_some_threads_can_be_started_nothing_is_read_twice(monkeypatch):
    started, start = [], threading.Thread.start

    def start_one(self):
        started.append(self)
        if len(started) > 1:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(ahead.torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(threading.Thread, "start", start_one)
    monkeypatch.setattr(ahead, "_size", len)
    read_items = []

    def slowly(item):
        read_items.append(item)
        time.sleep(0.01)
        return read(item)

    reader = ahead._Reader(slowly, 4)
    for get in [reader.add(item) for item in "abcdef"]:
        get()
    reader.close()
    assert sorted(read_items) == [*"abcdef"]
    assert (reader._n_running, reader._n_bytes) == (0, 0)


def test_with_none_ahead_no_thread_is_started():
    for item, load in read_ahead(["a", b"bytes"], read, n_ahead=0):
        assert float(load()[0]) == len(str(item))
        assert threads() == []


def test_nothing_behind_an_array_is_asked_for():
    taken = []

    def clips():
        for number in range(5):
            taken.append(number)
            yield np.zeros(3)

    pairs = read_ahead(clips(), read, n_ahead=4)
    for number, (_, load) in enumerate(pairs):
        load()
        assert taken == [*range(number + 1)]


def test_an_error_of_the_iterator_comes_in_its_place():
    def paths():
        yield from "ab"
        raise OSError("the disk")

    pairs = read_ahead(paths(), read, n_ahead=10)
    assert [next(pairs)[0], next(pairs)[0]] == ["a", "b"]
    with pytest.raises(OSError, match="the disk"):
        next(pairs)
    assert threads() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_goes_on_by_itself(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    pairs = read_ahead(["a", "bb", "ccc"], read, n_ahead=1)
    next(pairs)[1]()
    if (child := os.fork()) == 0:
        try:
            found = [float(load()[0]) for _, load in pairs]
            os._exit(0 if found == [2.0, 3.0] and threads() == [] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [float(load()[0]) for _, load in pairs] == [2.0, 3.0]
    assert threads() == []


@pytest.fixture(scope="module")
def pipe() -> Pipeline:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ClassifierConfig(
            labels=("dog", "rain"),
            network="cnn4",
            frontend=MelConfig(n_mels=16, n_fft=512, win_length=512),
            window_seconds=0.5,
            hop_seconds=0.25,
        )
        return Pipeline(Classifier(config))


@pytest.fixture
def files(tmp_path):
    rng, paths = np.random.default_rng(0), []
    for i, rate in enumerate((16_000, 44_100, 48_000, 22_050, 32_000, 8_000, 11_127)):
        samples = rng.normal(0, 0.1, (int(rate * (0.4 + 0.2 * i)), 1 + i % 2))
        soundfile.write(path := tmp_path / f"{i}.wav", samples, rate)
        paths.append(path)
    (bad := tmp_path / "bad.wav").write_bytes(b"no recording")
    return [*paths[:3], bad, *paths[3:]]


def test_results_are_those_without_threads_to_the_bit(pipe, files, monkeypatch):
    given = [*files, files[0].read_bytes(), str(files[1])]
    several = pipe(given, batch_size=2, errors="return")
    lazy = list(pipe(iter(given), batch_size=2, errors="return"))
    monkeypatch.setattr(
        call, "read_ahead", lambda items, load, n_ahead: read_ahead(items, load, n_ahead=0)
    )
    expected = pipe(given, batch_size=2, errors="return")
    assert [r.error is None for r in expected] == [True] * 3 + [False] + [True] * 6
    assert [r.to_dict() for r in several] == [r.to_dict() for r in expected]
    assert [r.to_dict() for r in lazy] == [
        r.to_dict() for r in list(pipe(iter(given), batch_size=2, errors="return"))
    ]
    assert threads() == []


def test_no_thread_is_left_by_a_bad_file_an_interrupt_or_an_iterator_let_go(
    pipe, files, monkeypatch
):
    with pytest.raises(AudioError, match="bad") as caught:
        pipe(files, batch_size=2)
    assert threads() == []
    results = pipe(iter(files), batch_size=1)
    next(results)
    del results
    assert threads() == []

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipe.classifier, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt) as stopped:
        pipe(files, batch_size=1)
    assert threads() == []
    del caught, stopped
