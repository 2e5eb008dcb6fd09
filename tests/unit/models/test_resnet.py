from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from soundsep.errors import ConfigError
from soundsep.models import NETWORKS, build_network
from soundsep.models.resnet import ResidualBlock, _HalvingMaxPool


@pytest.fixture(scope="module", params=[name for name in NETWORKS if name.startswith("resnet")])
def network(request):
    torch.manual_seed(0)  # of a test, so nobody else's numbers depend on it
    return request.param, build_network(request.param, 50)


def test_number_of_parameters_is_the_documented_one(network):
    name, module = network
    documented = re.search(r"([\d.]+) M parameters", NETWORKS[name].__doc__ or "")
    assert documented
    millions = sum(p.numel() for p in module.parameters()) / 1e6
    assert f"{millions:.1f}" == documented[1]


@pytest.mark.parametrize("size", [(1, 1), (64, 251), (128, 7), (2, 3)])
def test_any_size_goes_in(network, size):
    _, module = network
    module.eval()
    with torch.no_grad():
        features = torch.ones(1, *size)
        logits, embedding = module(features), module.embed(features)
    assert logits.shape == (1, 50)
    assert embedding.shape == (1, module.embedding_dim)
    assert torch.equal(module.head(embedding), logits)
    assert logits.isfinite().all()


def test_gradients_reach_every_parameter(network):
    _, module = network
    module.train()
    for part in module.modules():  # the zeroed scales would hold the gradient back
        if isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
    module.zero_grad()
    module(
        torch.randn(2, 16, 20, generator=torch.Generator().manual_seed(0))
    ).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("bottleneck", [False, True])
def test_new_block_is_the_identity_for_positive_input(bottleneck):
    network = build_network("resnet50" if bottleneck else "resnet18", 2).eval()
    block = next(
        b
        for b in network.modules()
        if isinstance(b, ResidualBlock) and isinstance(b.shortcut, nn.Identity)
    )
    x = torch.rand(1, 256 if bottleneck else 64, 4, 5)
    assert torch.equal(block(x.clone()), x)


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (32, 126), (32, 125)])
def test_pool_is_the_same_when_traced(size, monkeypatch):
    pool = _HalvingMaxPool(3, 2, padding=1)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    eager = pool(x)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(pool(x), eager)


def test_unknown_network_names_those_that_exist():
    with pytest.raises(ConfigError, match="no network 'vgg'; there are mn04"):
        build_network("vgg", 2)
