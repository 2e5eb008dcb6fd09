from __future__ import annotations

import pytest
import torch

from soundsep.training.autocast import MIN_FRAMES, bfloat16_for


@pytest.mark.parametrize(
    ("frames", "enabled", "dtype"),
    [
        (MIN_FRAMES, True, torch.bfloat16),
        (MIN_FRAMES - 1, True, torch.float32),
        (MIN_FRAMES, False, torch.float32),
    ],
)
def test_short_features_are_computed_in_float32(frames, enabled, dtype):
    with bfloat16_for(torch.zeros(2, 64, frames), enabled=enabled):
        assert (torch.ones(3, 3) @ torch.ones(3, 3)).dtype == dtype


@pytest.mark.parametrize("n_mels", [16, 64, 128])
def test_no_network_comes_down_to_a_single_frame_in_bfloat16(n_mels):
    # Seen with torch 2.11 on AVX-512: NaN or noise, of whatever lay in memory before.
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(64, 64, 3, stride=2, padding=1).to(
        memory_format=torch.channels_last
    )
    for frames in (MIN_FRAMES // 16, MIN_FRAMES // 8):  # of the last strided layers
        x = torch.randn(2, 64, n_mels // 4, frames).to(memory_format=torch.channels_last)
        junk = [torch.full((n,), float("nan")) for n in (1_000, 20_000, 300_000)]
        del junk
        with torch.autocast("cpu", torch.bfloat16):
            found = convolution(x)
        assert torch.allclose(found.float(), convolution(x), atol=0.05)
