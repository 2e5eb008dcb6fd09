from __future__ import annotations

import sys
import threading
import time
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
    """Plays a recording into the callback at real-time pace."""

    recording = np.zeros(0, dtype=np.float32)
    overflow_at: int | None = None  # block ahead of which the device itself loses 0.5 s

    def __init__(self, *, samplerate, blocksize, device, channels, dtype, callback) -> None:
        assert (channels, dtype) == (1, "float32")
        self.rate, self.size, self.callback = samplerate, blocksize, callback
        self.active, self.stopped = True, threading.Event()
        self.thread = threading.Thread(target=self._play)

    def _play(self) -> None:
        missing = 0
        began = time.monotonic()
        buffer = np.empty((self.size, 1), dtype=np.float32)  # used again and again, as PortAudio's
        for i, start in enumerate(range(0, len(self.recording), self.size)):
            due = began + (start + self.size) / self.rate
            if self.stopped.wait(max(0.0, due - time.monotonic())):
                break
            status = FINE
            if i == self.overflow_at:
                missing, status = self.rate // 2, OVERFLOW
            block = self.recording[start : start + self.size]
            buffer[: len(block), 0] = block
            clock = SimpleNamespace(inputBufferAdcTime=100 + (start + missing) / self.rate)
            self.callback(buffer[: len(block)], len(block), clock, status)
        self.active = False

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()

    close = stop


@pytest.fixture
def device(monkeypatch) -> type[FakeInput]:
    class Input(FakeInput):
        pass

    module = ModuleType("sounddevice")
    module.InputStream = Input
    module.PortAudioError = type("PortAudioError", (Exception,), {})
    module.query_devices = lambda device, kind: {"default_samplerate": float(RATE)}
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return Input


class LevelMeter(Classifier):
    """The label is heard where it is loud."""

    seconds = 0.0  # that a forward pass takes

    def predict(self, waveform):
        time.sleep(self.seconds)
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


def hear(pipe: Pipeline, seconds: float, **options) -> list[Event | Gap]:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    return list(listen(pipe, Microphone(**options), stop=stop, merge_gap_seconds=0.0))


def test_a_live_sound_is_heard_when_it_sounds(pipe, device):
    device.recording = loud_from_to(4, 1, 2)
    (event,) = hear(pipe, 2.9)
    assert event.label == "loud"
    assert abs(event.start_seconds - 1) <= 0.2
    assert abs(event.end_seconds - 2) <= 0.2


def test_a_slow_model_makes_gaps_and_the_times_stay_right(pipe, device):
    device.recording = loud_from_to(4, 2, 4)
    pipe.classifier.seconds = 0.7  # for each 0.2 s
    heard = hear(pipe, 2.9, queue_seconds=0.5)
    gaps = [gap for gap in heard if isinstance(gap, Gap)]
    events = [event for event in heard if isinstance(event, Event)]
    assert gaps
    assert events
    assert all(gap.end_seconds - gap.start_seconds > 0.05 for gap in gaps)
    assert heard == sorted(heard, key=lambda h: h.start_seconds)
    assert abs(events[0].start_seconds - 2) <= 0.2 or events[0].start_seconds in {
        gap.end_seconds for gap in gaps
    }
    spans = sorted((g.start_seconds, g.end_seconds) for g in gaps)
    assert not any(s < e.end_seconds and e.start_seconds < t for s, t in spans for e in events)


def test_what_the_device_loses_is_a_gap_too(pipe, device):
    device.recording, device.overflow_at = loud_from_to(3, 0, 3), 10
    first, gap, second = hear(pipe, 2.0)
    assert first.end_seconds == gap.start_seconds == pytest.approx(1.0)
    assert gap.end_seconds == second.start_seconds == pytest.approx(1.5)


def test_every_sample_is_heard_or_told_lost(device):
    device.recording = loud_from_to(2, 0, 2)
    microphone, stop = Microphone(queue_seconds=0.3), threading.Event()
    total = 0
    with microphone:
        for n_lost, block in microphone.blocks(stop):
            total += n_lost + len(block)
            time.sleep(0.25)
            if not microphone._input.active:
                stop.set()
    assert total == len(device.recording)


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


def test_a_device_that_cannot_be_opened_is_told(device, monkeypatch):
    module = sys.modules["sounddevice"]

    def refuse(*_, **__):
        raise module.PortAudioError("Error querying device -1")

    monkeypatch.setattr(module, "query_devices", refuse)
    with pytest.raises(AudioError, match="querying device"):
        Microphone()
    with pytest.raises(ConfigError, match="queue_seconds"):
        Microphone(queue_seconds=0)


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
