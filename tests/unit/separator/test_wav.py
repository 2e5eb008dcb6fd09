from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from soundsep import Separator, SeparatorConfig
from soundsep.separator import wav

RATE = 8_000


class Louder(nn.Module):
    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return torch.stack((3 * mixture, -mixture), dim=1)


@pytest.fixture
def separator() -> Separator:
    config = SeparatorConfig(
        sources=("a", "b"), sample_rate=RATE, n_channels=2, segment_seconds=0.5
    )
    return Separator(Louder(), config)


@pytest.fixture
def recording(tmp_path) -> Path:
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (30_000, 2))
    soundfile.write(tmp_path / "in.wav", samples, 11_025)
    return tmp_path / "in.wav"


def test_files_larger_than_a_wav_header_can_say(separator, recording, tmp_path, monkeypatch):
    expected = separator(recording)
    monkeypatch.setattr(wav, "MAX_SIZE", 10_000)
    path = expected.save(tmp_path / "out")["a"]
    assert soundfile.info(path).format == "RF64"
    assert path.read_bytes()[:4] == b"RF64"
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0].T, expected["a"])
