from __future__ import annotations

import pytest
import torch

from soundsep.frontends import MEL_PRESETS, KaldiMelConfig, KaldiMelFrontend, MelConfig, MelFrontend
from soundsep.frontends.filterbank import in_bands, spans_of

BANKS = {
    **{name: MelFrontend(config).filters for name, config in MEL_PRESETS.items()},
    "kaldi": KaldiMelFrontend(KaldiMelConfig()).filters,
    "one band": MelFrontend(MelConfig(n_mels=1)).filters,
    "bands without a bin": MelFrontend(MelConfig(n_fft=64, win_length=64, n_mels=100)).filters,
}


@pytest.mark.parametrize("filters", BANKS.values(), ids=BANKS)
def test_groups_of_bands_give_the_whole_product(filters):
    generator = torch.Generator().manual_seed(0)
    power = torch.rand(2, len(filters), 3, generator=generator, dtype=torch.float64)
    found = in_bands(power, filters.double(), spans_of(filters))
    torch.testing.assert_close(found, filters.double().T @ power)
    used = sum((bins.stop - bins.start) * 16 for _, bins in spans_of(filters))
    assert filters.shape[1] < 64 or used < 0.6 * filters.numel()


def test_bands_above_all_bins_are_silent():
    filters = torch.zeros(5, 40)
    filters[2, 3] = 1.0
    spans = spans_of(filters)
    assert [bins for _, bins in spans] == [slice(2, 3), slice(0, 1), slice(0, 1)]
    assert torch.equal(in_bands(torch.ones(1, 5, 2), filters, spans).sum(dim=2)[0], 2 * filters[2])
