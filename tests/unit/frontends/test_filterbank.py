from __future__ import annotations

import pytest
import torch

from soundsep.frontends import MEL_PRESETS, KaldiMelConfig, KaldiMelFrontend, MelConfig, MelFrontend
from soundsep.frontends.filterbank import band_groups, in_bands

BANKS = {
    **{name: MelFrontend(config).filters for name, config in MEL_PRESETS.items()},
    "kaldi": KaldiMelFrontend(KaldiMelConfig()).filters,
    "one band": MelFrontend(MelConfig(n_mels=1)).filters,
    "bands without a bin": MelFrontend(MelConfig(n_fft=64, win_length=64, n_mels=100)).filters,
}


@pytest.mark.parametrize("filters", BANKS.values(), ids=BANKS)
def test_groups_of_bands_give_the_whole_product(filters):
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(2, 3, len(filters), generator=generator, dtype=torch.float64)
    spans, weights = band_groups(filters.double())
    torch.testing.assert_close(
        in_bands(rows, weights, spans, filters.shape[1]), rows @ filters.double()
    )
    assert filters.shape[1] < 64 or weights.numel() < 0.6 * filters.numel()


def test_bands_above_all_bins_are_silent():
    filters = torch.zeros(5, 40)
    filters[2, 3] = 1.0
    spans, weights = band_groups(filters)
    assert spans == ((2, 1), (0, 1), (0, 1))
    expected = torch.zeros(2, 40)
    expected[:, 3] = 1
    assert torch.equal(in_bands(torch.ones(2, 5), weights, spans, 40), expected)
