"""What the tests of trainings on a device share."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
import torch

from soundsep.labels import ESC50_LABELS

RATE = 16_000


@pytest.fixture
def same_settings() -> Iterator[None]:
    """What the tools set for all of torch is as it was after the test."""
    n_threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    benchmark, allow_tf32 = cudnn.benchmark, cudnn.allow_tf32
    yield
    torch.set_num_threads(n_threads)
    cudnn.benchmark, cudnn.allow_tf32 = benchmark, allow_tf32


@pytest.fixture
def esc50(tmp_path):
    """Two classes in five folds, two clips of each."""
    root = tmp_path / "esc50"
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    seconds = np.arange(RATE) / RATE
    for fold in range(1, 6):
        for target in (0, 1):
            for take in "AB":
                origin = f"{fold}{target}{ord(take)}"
                name = f"{fold}-{origin}-{take}-{target}.wav"
                hz = (400, 3_000)[target] + 10 * fold
                soundfile.write(
                    root / "audio" / name, 0.1 * np.sin(2 * math.pi * hz * seconds), RATE
                )
                lines.append(f"{name},{fold},{target},{ESC50_LABELS[target]},True,{origin},{take}")
    (root / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
