from __future__ import annotations

import pytest
import torch
from torch import nn

from soundsep.models import NETWORKS, build_network


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    module = build_network(request.param, 50)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.momentum = None  # statistics that fit from the first batch on
    return request.param, module


def test_crnn_pools_bands_more_than_frames_and_hears_the_order_of_things():
    torch.manual_seed(0)
    network = build_network("crnn", 3).eval()
    assert network.blocks(torch.zeros(1, 1, 64, 64)).shape[2:] == (4, 16)
    # Two notes so far apart that no convolution sees both: only the LSTM knows which comes first.
    clip, swapped = torch.zeros(2, 1, 64, 200).unbind()
    clip[:, 10, 80], clip[:, 40, 120] = 99.0, 99.0
    swapped[:, 40, 80], swapped[:, 10, 120] = 99.0, 99.0
    with torch.no_grad():
        averages = [network.blocks(x[:, None]).mean(dim=(-2, -1)) for x in (clip, swapped)]
        embeddings = [network.embed(x) for x in (clip, swapped)]
    torch.testing.assert_close(*averages, atol=1e-6, rtol=1e-5)
    assert (embeddings[0] - embeddings[1]).abs().max() > 1e-5
