from __future__ import annotations

import pytest
import torch

from soundsep import ConfigError, SeparatorConfig

RATE = 8_000


def config(**changes: object) -> SeparatorConfig:
    defaults = {
        "sources": ("low", "high"),
        "sample_rate": RATE,
        "n_channels": 1,
        "segment_seconds": 0.5,
    }
    return SeparatorConfig(**{**defaults, **changes})


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": ()},
        {"sources": ("../low", "high")},
        {"sources": ("low", "LOW")},
        {"sources": ("low", "Nul")},
        {"sources": ("com1", "high")},
        {"sources": "ab"},
        {"sources": ("low", 2)},
        {"sources": ("low", "high\n")},
        {"sample_rate": 0},
        {"n_channels": 3},
        {"segment_seconds": 1e9},
        {"segment_seconds": 600.0, "sample_rate": 768_000},
        {"overlap": 1.0},
        {"overlap": 0.0, "interchangeable": True},
    ],
)
def test_configs_that_make_no_sense(changes):
    with pytest.raises(ConfigError, match="SeparatorConfig"):
        config(**changes)
