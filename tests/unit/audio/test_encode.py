from __future__ import annotations

import io
import signal
from collections.abc import Iterator

import pytest
import soundfile
import torch

from soundsep.audio import encode
from soundsep.audio.encode import file_bytes

RATE = 16_000
KINDS = {"WAV": "PCM_24", "OGG": "OPUS"}


def noise(n_samples: int = RATE) -> torch.Tensor:
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupted(io.BytesIO):
    """A file during whose n-th write, counted over all of them, the user presses Ctrl-C."""

    n_left = 0

    def write(self, data):
        Interrupted.n_left -= 1
        if Interrupted.n_left == 0:
            signal.raise_signal(signal.SIGINT)
        return super().write(data)


def test_samples_come_back():
    samples = noise()
    data = file_bytes(samples, RATE, container="WAV", subtype="PCM_24")
    heard, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == RATE
    assert abs(torch.from_numpy(heard) - samples).max() <= 2**-23
    assert file_bytes(samples, RATE, container="WAV", subtype="PCM_24") == data


def test_the_level_of_compression_counts():
    sizes = [
        len(file_bytes(noise(), RATE, container="OGG", subtype="OPUS", compression_level=level))
        for level in (0.0, 0.5, 1.0)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[-1]


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("container", KINDS)
def test_an_interrupt_at_any_write_is_not_lost(container, monkeypatch, capfd):
    monkeypatch.setattr(encode.io, "BytesIO", Interrupted)
    samples, n_writes, stopped = noise(), 0, True
    while stopped:
        n_writes += 1
        Interrupted.n_left, stopped = n_writes, False
        try:
            file_bytes(samples, RATE, container=container, subtype=KINDS[container])
        except KeyboardInterrupt:
            stopped = True
        assert stopped == (Interrupted.n_left <= 0)
    assert n_writes > 3
    assert "KeyboardInterrupt" not in capfd.readouterr().err
