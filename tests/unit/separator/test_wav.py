from __future__ import annotations

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
