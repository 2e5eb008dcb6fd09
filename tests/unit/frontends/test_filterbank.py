from __future__ import annotations

import pytest
import torch

from soundsep.frontends import MEL_PRESETS, KaldiMelConfig, KaldiMelFrontend, MelConfig, MelFrontend
from soundsep.frontends.filterbank import BandFilters

BANKS = {
    **{name: MelFrontend(config).filters for name, config in MEL_PRESETS.items()},
    "kaldi": KaldiMelFrontend(KaldiMelConfig()).filters,
    "one band": MelFrontend(MelConfig(n_mels=1)).filters,
    "bands without a bin": MelFrontend(MelConfig(n_fft=64, win_length=64, n_mels=100)).filters,
}


@pytest.mark.parametrize("filters", BANKS.values(), ids=BANKS)
def test_groups_of_bands_give_the_whole_product(filters):
    generator = torch.Generator().manual_seed(0)
    power = torch.rand(2, 3, len(filters), generator=generator, dtype=torch.float64)
    bands = BandFilters(filters.double())
    expected = power @ filters.double()
    torch.testing.assert_close(bands(power), expected)
    written = torch.full((6, filters.shape[1]), torch.nan, dtype=torch.float64)
    bands.write(power.flatten(0, 1), written)
    torch.testing.assert_close(written, expected.flatten(0, 1))
    assert filters.shape[1] < 64 or sum(g.numel() for g in bands.groups) < 0.6 * filters.numel()
    assert not bands.state_dict()


def test_bands_above_all_bins_are_silent():
    filters = torch.zeros(5, 40)
    filters[2, 3] = 1.0
    bands = BandFilters(filters)
    assert bands.spans == ((2, 1), (0, 1), (0, 1))
    expected = torch.zeros(2, 40)
    expected[:, 3] = 1
    assert torch.equal(bands(torch.ones(2, 5)), expected)
    written = torch.full((2, 40), torch.nan)
    bands.write(torch.ones(2, 5), written)
    assert torch.equal(written, expected)
