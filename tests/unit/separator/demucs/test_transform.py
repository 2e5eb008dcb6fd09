from __future__ import annotations

import pytest
import torch
from torch import nn

from soundsep.separator.demucs.transform import invert_by_source


def _network(n_fft: int) -> nn.Module:
    from demucs.htdemucs import HTDemucs

    return HTDemucs(["a", "b"], channels=8, depth=3, nfft=n_fft, t_layers=0, t_heads=2).eval()


@pytest.mark.parametrize("n_fft", [512, 4096])
def test_the_same_waveforms(n_fft):
    network = _network(n_fft)
    inverse = invert_by_source(network)._ispec
    generator = torch.Generator().manual_seed(0)
    hop = n_fft // 4
    for length in (1, hop - 1, hop, hop + 1, 9 * hop, 9 * hop + 77):
        shape = 1, 2, 2, n_fft // 2, -(-length // hop)
        spectra = torch.randn(shape, dtype=torch.complex64, generator=generator)
        expected = network._ispec(spectra, length)
        assert expected.shape == (1, 2, 2, length)
        torch.testing.assert_close(inverse(spectra, length), expected, atol=1e-5, rtol=0)


def test_weights_stay_shared_and_the_original_as_it_is():
    network = _network(512)
    changed = invert_by_source(network)
    assert "_ispec" not in vars(network)
    assert changed is not network
    assert changed.encoder is network.encoder
    assert all(a is b for a, b in zip(changed.parameters(), network.parameters(), strict=True))


def test_other_networks_are_left_alone():
    from demucs.demucs import Demucs

    for network in (nn.Linear(2, 2), Demucs(["a"], channels=8)):
        assert invert_by_source(network) is network
