from __future__ import annotations

import pytest
import torch
from torch import nn

from soundsep.separator.demucs.attention import fuse_self_attention

POINTS, CHANNELS, HEADS = 700, 32, 4


class Layer(nn.Module):
    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.before = nn.Linear(CHANNELS, CHANNELS)
        self.attention = nn.MultiheadAttention(CHANNELS, HEADS, **{"batch_first": True, **settings})

    def forward(self, x: torch.Tensor, **options: object) -> torch.Tensor:
        x = self.before(x)
        return self.attention(x, x, x, **{"need_weights": False, **options})


def _points(n: int = POINTS) -> torch.Tensor:
    return torch.randn(2, n, CHANNELS, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def layer() -> nn.Module:
    torch.manual_seed(0)
    return Layer().eval()


def _most_bytes(module: nn.Module, x: torch.Tensor) -> int:
    """The largest tensor of a forward pass."""
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
        module(x)
    return max(event.self_cpu_memory_usage for event in profile.events())


@torch.no_grad()
def test_the_same_output_without_a_table_of_all_pairs(layer):
    x = _points()
    fused = fuse_self_attention(layer)
    torch.testing.assert_close(fused(x)[0], layer(x)[0], atol=1e-6, rtol=0)
    table = 2 * HEADS * POINTS * POINTS * 4
    assert _most_bytes(layer, x) >= table
    assert _most_bytes(fused, x) < table / 4


@torch.no_grad()
def test_weights_stay_shared_and_the_original_as_it_is(layer):
    fused = fuse_self_attention(nn.Sequential(layer))[0]
    assert type(layer.attention) is nn.MultiheadAttention
    assert fused.before is layer.before
    layer.attention.in_proj_weight.mul_(2)
    for x in (_points(), _points()[0]):
        torch.testing.assert_close(fused(x)[0], layer(x)[0], atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [
        {"need_weights": True},
        {"attn_mask": torch.ones(9, 9).tril() == 0},
        {"key_padding_mask": torch.arange(9).expand(2, 9) > 5},
        {"attn_mask": torch.ones(9, 9).tril() == 0, "is_causal": True},
    ],
)
def test_masks_and_weights_are_heeded(layer, options):
    x = _points(9)
    for found, expected in zip(
        fuse_self_attention(layer)(x, **options), layer(x, **options), strict=True
    ):
        torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_one_sequence_may_hear_another(layer):
    fused = fuse_self_attention(layer).attention
    query, key = _points(9), _points(5)
    for found, expected in zip(
        fused(query, key, key), layer.attention(query, key, key), strict=True
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "settings",
    [{"batch_first": False}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 8}],
)
def test_other_kinds_are_left_alone(settings):
    layer = Layer(**settings)
    assert fuse_self_attention(layer) is layer
