from __future__ import annotations

import sys
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from soundsep import (
    AudioError,
    Classifier,
    ClassifierConfig,
    ConfigError,
    DependencyError,
    Pipeline,
)
from soundsep.pipeline.microphone import Microphone, listen
from soundsep.pipeline.timeline import Event, Gap

RATE = 16_000
OVERFLOW = SimpleNamespace(input_overflow=True)
FINE = SimpleNamespace(input_overflow=False)


class FakeInput:
    """Plays a recording into the callback, by a clock that tests move, and waiting in vain."""

    recording = np.zeros(0, dtype=np.float32)
    overflows_at: tuple[int, ...] = ()  # blocks ahead of which the device itself loses 0.5 s

    def __init__(self, *, samplerate, blocksize, device, channels, dtype, callback) -> None:
        assert (channels, dtype) == (1, "float32")
        self.rate, self.size, self.callback = samplerate, blocksize, callback
        self.buffer = np.empty((blocksize, 1), dtype=np.float32)  # used again, as PortAudio's
        self.n_played = self.n_missing = 0
        self.is_playing = self.is_closed = False
        self.stop_at, self.stopped = np.inf, threading.Event()

    def play(self, seconds: float) -> None:
        """What the device does in this time."""
        for _ in range(round(seconds * self.rate / self.size)):
            start = self.n_played * self.size
            self.is_playing &= start < len(self.recording)
            if not self.is_playing:
                return
            status = FINE
            if self.n_played in self.overflows_at:
                self.n_missing, status = self.n_missing + self.rate // 2, OVERFLOW
            block = self.recording[start : start + self.size]
            self.buffer[: len(block), 0] = block
            now = 100 + (start + self.n_missing) / self.rate + 1e-5 * (start > 0)  # it is jittery
            clock = SimpleNamespace(inputBufferAdcTime=now)
            self.callback(self.buffer[: len(block)], len(block), clock, status)
            self.n_played += 1
            if (start + self.size) / self.rate >= self.stop_at:
                self.stopped.set()

    @property
    def active(self) -> bool:
        """Asked after nothing has come for a while."""
        self.play(0.2)
        return self.is_playing

    def start(self) -> None:
        self.is_playing = True

    def stop(self) -> None:
        self.is_playing = False

    def close(self) -> None:
        self.stop()
        self.is_closed = True


@pytest.fixture
def device(monkeypatch) -> type[FakeInput]:
    class Input(FakeInput):
        pass

    module = ModuleType("sounddevice")
    module.InputStream = Input
    module.PortAudioError = type("PortAudioError", (Exception,), {})
    known = {("input", None): {"default_samplerate": float(RATE)}}
    module.query_devices = lambda device, kind: known[kind, device]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr("soundsep.pipeline.microphone.POLL_SECONDS", 1e-3)
    return Input


class LevelMeter(Classifier):
    """The label is heard where it is loud."""

    meanwhile = staticmethod(lambda: None)  # what happens during a forward pass

    def predict(self, waveform):
        self.meanwhile()
        return (waveform.abs().mean(dim=1, keepdim=True) > 0.1).float()


@pytest.fixture
def pipe() -> Pipeline:
    config = ClassifierConfig(
        labels=("loud",), network="mn04", window_seconds=0.4, hop_seconds=0.2, padding="zero"
    )
    return Pipeline(LevelMeter(config))


def loud_from_to(seconds: float, start: float, end: float) -> np.ndarray:
    levels = np.full(round(seconds * RATE), 1e-3, dtype=np.float32)
    levels[round(start * RATE) : round(end * RATE)] = 0.5
    levels[1::2] *= -1  # a square wave
    return levels


def hear(pipe: Pipeline, seconds: float, *, pass_seconds=0.0, **options) -> list[Event | Gap]:
    """What is heard until a time, where the model takes some for each window."""
    microphone = Microphone(**options)
    device = microphone._input
    device.stop_at = seconds
    pipe.classifier.meanwhile = lambda: device.play(pass_seconds)
    return list(listen(pipe, microphone, stop=device.stopped, merge_gap_seconds=0.0))


def test_a_live_sound_is_heard_when_it_sounds(pipe, device):
    device.recording = loud_from_to(4, 1, 2)
    (event,) = hear(pipe, 2.9)
    assert event.label == "loud"
    assert abs(event.start_seconds - 1) <= 0.2
    assert abs(event.end_seconds - 2) <= 0.2


def test_a_slow_model_makes_gaps_and_the_times_stay_right(pipe, device):
    device.recording = loud_from_to(9, 3, 9)
    heard = hear(pipe, 8, pass_seconds=0.7, queue_seconds=0.5)  # for each 0.2 s
    gaps = [gap for gap in heard if isinstance(gap, Gap)]
    events = [event for event in heard if isinstance(event, Event)]
    assert len(gaps) > 3
    assert len(events) > 3
    assert all(gap.end_seconds - gap.start_seconds > 0.05 for gap in gaps)
    assert heard == sorted(heard, key=lambda h: h.start_seconds)
    assert abs(events[0].start_seconds - 3) <= 0.2 or events[0].start_seconds in {
        gap.end_seconds for gap in gaps
    }
    spans = sorted((g.start_seconds, g.end_seconds) for g in gaps)
    assert not any(s < e.end_seconds and e.start_seconds < t for s, t in spans for e in events)


def test_what_the_device_loses_is_a_gap_too(pipe, device):
    device.recording, device.overflows_at = loud_from_to(4, 0, 4), (10, 20)
    heard = hear(pipe, 3.0)
    assert [type(one) for one in heard] == [Event, Gap, Event, Gap, Event]
    spans = [(one.start_seconds, one.end_seconds) for one in heard]
    assert spans == [(0, 1), (1, 1.5), (1.5, 2.5), (2.5, 3), (3, 4)]


def test_every_sample_is_heard_or_told_lost_in_its_place(device):
    device.recording = np.arange(32_000, dtype=np.float32)
    microphone = Microphone(queue_seconds=0.3)
    microphone._input.stop_at = 1.8
    at = 0
    with microphone as entered:
        assert entered is microphone
        for n_lost, block in microphone.blocks(microphone._input.stopped):
            assert n_lost % 1_600 == 0
            at += n_lost
            assert block.tolist() == list(range(at, at + len(block)))
            at += len(block)
            microphone._input.play(0.4)  # four blocks, where three are queued
    assert at == 1.8 * RATE
    assert microphone._input.is_closed


def test_thirty_seconds_are_queued(device):
    device.recording = np.zeros(40 * RATE, dtype=np.float32)
    microphone = Microphone()
    microphone._input.stopped.set()
    with microphone:
        microphone._input.play(31)
        lost, blocks = zip(*microphone.blocks(microphone._input.stopped), strict=True)
    assert sum(map(len, blocks)) == 30 * RATE
    assert (sum(lost), lost[-1]) == (RATE, RATE)


def test_a_device_that_stops_is_told_after_the_last_event(pipe, device):
    device.recording = loud_from_to(0.6, 0, 0.6)
    heard = listen(pipe, Microphone())
    assert next(heard).label == "loud"
    with pytest.raises(AudioError, match="unplugged"):
        next(heard)


def test_the_event_before_a_lost_connection_is_given(pipe):
    class Connection:
        sample_rate = RATE

        def blocks(self, stop):
            yield 0, torch.from_numpy(loud_from_to(1, 0, 1))
            raise ConnectionResetError("gone")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    heard = listen(pipe, Connection())
    assert next(heard).label == "loud"
    with pytest.raises(ConnectionResetError):
        next(heard)


class Blocks:
    """An input that gives these blocks, after what was lost ahead of them."""

    sample_rate = RATE

    def __init__(self, *blocks: tuple[int, torch.Tensor]) -> None:
        self._blocks = blocks

    def blocks(self, stop):
        yield from self._blocks

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def in_turn(pipe: Pipeline, live: Blocks, **options) -> list[tuple[str, float]]:
    """What is told, with the time at which it began."""
    told = list[tuple[str, float]]()
    began = lambda event: told.append(("began", event.start_seconds))  # noqa: E731
    for heard in listen(pipe, live, began=began, **options):
        kind = "lost" if isinstance(heard, Gap) else "event"
        told.append((kind, heard.start_seconds))
    return told


@pytest.mark.parametrize("hop_seconds", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("block_seconds", [0.01, 0.1, 0.35, 1.0, 2.0])
def test_that_a_sound_began_is_told_once_before_it_is_over(pipe, block_seconds, hop_seconds):
    levels = loud_from_to(12, 1.5, 2.5)
    for start, end in ((2.9, 3.5), (6.2, 11)):  # the first of them is merged
        levels += loud_from_to(12, start, end)
    blocks = torch.from_numpy(levels).split(round(block_seconds * RATE))
    live = Blocks(*((0, block) for block in blocks))
    told = in_turn(pipe, live, merge_gap_seconds=1.0, hop_seconds=hop_seconds)
    assert [what for what, _ in told] == ["began", "event", "began", "event"]
    assert [at for _, at in told] == pytest.approx([1.5, 1.5, 6.2, 6.2], abs=0.3)


def test_what_ends_and_begins_again_in_one_block_is_told_again(pipe):
    blocks = torch.from_numpy(loud_from_to(6, 1.5, 2.5) + loud_from_to(6, 3.2, 5)).split(2 * RATE)
    live = Blocks(*((0, block) for block in blocks))
    told = in_turn(pipe, live, merge_gap_seconds=0.0)
    assert [what for what, _ in told] == ["began", "event", "began", "event"]


def test_what_goes_on_after_a_loss_is_told_again(pipe):
    loud = torch.from_numpy(loud_from_to(2, 0, 2))
    told = in_turn(pipe, Blocks((0, loud), (RATE, loud)))
    assert told == [("began", 0), ("event", 0), ("lost", 2), ("began", 3), ("event", 3)]


def test_the_rest_of_a_sound_that_was_cut_is_not_told_as_begun(pipe, monkeypatch):
    monkeypatch.setattr("soundsep.pipeline.event_tracker.MAX_SECONDS", 2)
    blocks = torch.from_numpy(loud_from_to(7, 0, 5)).split(RATE // 10)
    told = in_turn(pipe, Blocks(*((0, block) for block in blocks)))
    assert [what for what, _ in told] == ["began", "event", "event", "event"]


def test_options_and_the_rate_of_the_input_reach_the_stream(pipe, device):
    options = {
        "threshold": {"loud": 0.25},
        "hop_seconds": 0.1,
        "min_duration_seconds": 0.2,
        "merge_gap_seconds": 0.3,
        "labels": ["loud"],
        "min_score": 0.4,
        "batch_size": 5,
    }
    given = []
    listener = SimpleNamespace(stream=lambda **kwargs: given.append(kwargs) or pipe.stream())
    listen(listener, Microphone(sample_rate=44_100), **options)
    assert given == [{"sample_rate": 44_100, **options}]


def test_a_device_that_cannot_be_opened_is_told(device, monkeypatch):
    module = sys.modules["sounddevice"]

    def refuse(*_, **__):
        raise module.PortAudioError("Error querying device -1")

    monkeypatch.setattr(module, "query_devices", refuse)
    with pytest.raises(AudioError, match="querying device"):
        Microphone()
    for seconds in (0, 3_601):
        with pytest.raises(ConfigError, match="queue_seconds"):
            Microphone(queue_seconds=seconds)


@pytest.mark.parametrize("rate", [0, -1, 44_100.5, 1e9])
def test_a_rate_that_no_recorder_has_is_not_replaced_by_another(device, rate):
    with pytest.raises(AudioError, match="sample rate"):
        Microphone(sample_rate=rate)


def test_a_device_that_is_busy_is_told_and_let_go(device, monkeypatch):
    closed = []

    def refuse(_):
        raise sys.modules["sounddevice"].PortAudioError("Device unavailable")

    monkeypatch.setattr(device, "start", refuse)
    monkeypatch.setattr(device, "close", lambda device: closed.append(device))
    with pytest.raises(AudioError, match="Device unavailable"), Microphone():
        pass
    assert closed


def test_without_sounddevice_the_error_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DependencyError, match=r'pip install "soundsep\[live\]"'):
        Microphone()


def test_without_portaudio_the_error_names_the_remedy(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DependencyError, match="libportaudio2"):
        Microphone()
