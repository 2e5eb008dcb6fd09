from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from soundsep.separator import wav


def chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a file by name; one whose size is in ``ds64`` goes to the end."""
    found, at = {}, 12
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        found[name] = data[at + 8 : at + 8 + size]
        at += 8 + size
    return found


@pytest.fixture
def samples() -> torch.Tensor:
    return 3 * torch.randn(2, 1_000, generator=torch.Generator().manual_seed(0))


def written(path, samples: torch.Tensor) -> bytes:
    with path.open("wb") as stream:
        writer = wav.FloatWavWriter(stream, sample_rate=8_000, n_channels=2)
        for block in samples.split(300, dim=1):
            writer.write(block)
        writer.finish()
    return path.read_bytes()


def test_the_header_says_what_the_file_holds(tmp_path, samples):
    data = written(tmp_path / "a.wav", samples)
    assert struct.unpack_from("<4sI4s", data) == (b"RIFF", len(data) - 8, b"WAVE")
    found = chunks(data)
    # IEEE floats, channels, rate, bytes per second and frame, bits; no extension.
    assert struct.unpack("<HHIIHHH", found[b"fmt "]) == (3, 2, 8_000, 64_000, 8, 32, 0)
    assert struct.unpack("<I", found[b"fact"]) == (1_000,)
    assert found[b"data"] == samples.T.numpy().astype("<f4").tobytes()
    read, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate == 8_000
    np.testing.assert_array_equal(read.T, samples)  # beyond full scale too


def test_files_larger_than_a_wav_header_can_say(tmp_path, samples, monkeypatch):
    monkeypatch.setattr(wav, "MAX_SIZE", 8_000)  # what the samples take alone
    data = written(tmp_path / "a.wav", samples)
    assert struct.unpack_from("<4sI4s", data) == (b"RF64", 2**32 - 1, b"WAVE")
    found = chunks(data)
    assert struct.unpack("<QQQI", found[b"ds64"]) == (len(data) - 8, 8_000, 1_000, 0)
    assert found[b"data"] == samples.T.numpy().astype("<f4").tobytes()
    assert soundfile.info(tmp_path / "a.wav").format == "RF64"
    read, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_array_equal(read.T, samples)


class Headers(io.BytesIO):
    """A disk with room for the headers alone."""

    def write(self, data) -> int:
        return super().write(data) if len(data) < 100 else len(data)


@pytest.mark.parametrize(("n_samples", "kind"), [(2**30 - 22, b"RIFF"), (2**30 - 21, b"RF64")])
def test_a_file_of_4_gib_has_the_header_that_can_say_its_size(n_samples, kind):
    stream, block = Headers(), torch.zeros(1, 2**20)
    writer = wav.FloatWavWriter(stream, sample_rate=8_000, n_channels=1)
    for _ in range(n_samples // 2**20):
        writer.write(block)
    writer.write(block[:, : n_samples % 2**20])
    writer.finish()
    data = stream.getvalue()
    size, n_bytes = len(data) - 8 + 4 * n_samples, 4 * n_samples
    assert data.startswith(kind)
    if kind == b"RIFF":
        assert struct.unpack_from("<I", data, 4) == (size,)
        assert struct.unpack("<I", data[-4:]) == (n_bytes,)
    else:
        assert struct.unpack_from("<QQQ", data, 20) == (size, n_bytes, n_samples)
