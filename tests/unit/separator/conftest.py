from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from soundsep import Separator, SeparatorConfig

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
