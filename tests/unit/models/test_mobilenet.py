from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from soundsep.errors import ShapeError
from soundsep.models import NETWORKS
from soundsep.models.frames import mn04_context, mn04_frames
from soundsep.models.mobilenet import (
    ConvNorm,
    InvertedResidual,
    MobileNetV3,
    SqueezeExcitation,
    _divisible,
)

NAMES = [name for name in NETWORKS if name.startswith("mn")]
# Channels of the last feature map: 6 times 160 at that width.
LAST = {"mn04": 384, "mn10": 960}


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    torch.manual_seed(0)
    return request.param, NETWORKS[request.param](50).eval()


@pytest.mark.parametrize("name", NAMES)
def test_number_of_parameters_is_the_documented_one(name):
    documented = re.search(r"([\d.]+) M parameters for .*?(\d+) classes", NETWORKS[name].__doc__)
    assert documented
    millions = sum(p.numel() for p in NETWORKS[name](int(documented[2])).parameters()) / 1e6
    assert f"{millions:.2f}" == documented[1]


@pytest.mark.parametrize("size", [(128, 1), (128, 500), (100, 33)])
def test_outputs_have_the_documented_shapes(network, size):
    name, module = network
    features = torch.randn(2, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, embedding = module(features), module.embed(features)
    n_rows = 4 if name.endswith(("-bands", "-frames", "-context")) else 1
    assert logits.shape == (2, 50)
    assert embedding.shape == (2, module.embedding_dim) == (2, LAST[name[:4]] * n_rows)
    # Of frames the logits are averaged, and not the embeddings.
    torch.testing.assert_close(module.head(embedding), logits, atol=1e-5, rtol=1e-5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", ["mn04", "mn10"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (128, 7), (1, 90), (33, 31)])
def test_any_size_goes_in_where_nothing_is_told_apart_by_its_row(name, size):
    with torch.no_grad():
        logits = NETWORKS[name](3).eval()(torch.ones(1, *size))
    assert logits.shape == (1, 3)
    assert logits.isfinite().all()


@pytest.mark.parametrize("n_mels", [64, 96, 129])
def test_head_on_bands_wants_its_number_of_rows(n_mels):
    with pytest.raises(ShapeError, match=f"97 to 128 mel bands, got {n_mels}"):
        NETWORKS["mn04-bands"](3).eval()(torch.zeros(1, n_mels, 50))


def test_head_on_bands_tells_high_from_low():
    torch.manual_seed(0)
    network = NETWORKS["mn04-bands"](3).eval()
    low = torch.zeros(1, 128, 64)
    low[:, :32] = 5.0
    with torch.no_grad():
        rows = (network.embed(low) - network.embed(torch.zeros(1, 128, 64))).view(-1, 4).abs()
    assert rows[:, 0].mean() > 2 * rows[:, 3].mean()


# Published for width 1 in the first line (table 1 of the paper), worked out by hand below.
@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (1.0, [16, 16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160, 960]),
        (0.4, [8, 8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48, 64, 64, 64, 384]),
    ],
)
def test_widths_are_those_of_the_table(width, channels):
    network = MobileNetV3(2, width=width, head="hidden")
    layers = [network.stem, *(block.project for block in network.blocks), network.tail]
    assert [layer[0].out_channels for layer in layers] == channels
    strides = [layer.depthwise[0].stride[0] for layer in network.blocks]
    assert [n for n, stride in enumerate(strides) if stride == 2] == [1, 3, 6, 12]
    excited = [isinstance(b.excitation, SqueezeExcitation) for b in network.blocks]
    assert [n for n, has in enumerate(excited) if has] == [3, 4, 5, 10, 11, 12, 13, 14]


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(0.1, 8), (6.4, 8), (11.9, 16), (25.6, 24), (28.8, 32), (44.8, 48), (73.6, 72), (960, 960)],
)
def test_channels_are_rounded_to_eights_but_never_far_down(channels, rounded):
    assert _divisible(channels) == rounded
    assert rounded % 8 == 0
    assert rounded >= 0.9 * channels


def block(stride=1, n_out=8, excitation=False):
    return InvertedResidual(
        8,
        16,
        n_out,
        kernel_size=3,
        stride=stride,
        excitation=excitation,
        activation=nn.ReLU,
    ).eval()


@pytest.mark.parametrize(
    ("options", "has_shortcut"), [({}, True), ({"stride": 2}, False), ({"n_out": 16}, False)]
)
def test_input_is_added_only_where_it_fits(options, has_shortcut):
    module = block(**options)
    nn.init.zeros_(module.project[1].weight)  # silences everything but the shortcut
    x = torch.randn(1, 8, 4, 6, generator=torch.Generator().manual_seed(0))
    out = module(x.clone())
    assert torch.equal(out, x if has_shortcut else torch.zeros_like(out))


def test_excitation_weights_channels_by_their_mean_over_the_whole_map():
    torch.manual_seed(0)
    module = SqueezeExcitation(32)
    x = torch.randn(2, 32, 5, 7)
    weight = (module(x) / x).detach()
    torch.testing.assert_close(weight, weight[..., :1, :1].expand_as(weight))
    assert ((weight > 0) & (weight < 1)).all()
    shuffled = x.flatten(2)[..., torch.randperm(35)].view_as(x)
    torch.testing.assert_close((module(shuffled) / shuffled)[..., 0, 0], weight[..., 0, 0])


def test_convolution_without_activation_is_linear():
    assert len(ConvNorm(2, 4, 3)) == 2
    assert isinstance(ConvNorm(2, 4, 3, activation=nn.Hardswish)[2], nn.Hardswish)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    network = NETWORKS["mn04"](5).train()
    for part in network.modules():
        if isinstance(part, nn.Linear):  # the head's small weights would hold the gradient back
            nn.init.normal_(part.weight, std=0.3)
    network(torch.randn(4, 64, 64)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_frames_with_context_begin_as_those_without_and_then_hear_their_neighbours():
    torch.manual_seed(0)
    plain, wide = mn04_frames(3).eval(), mn04_context(3).eval()
    missing, unexpected = wide.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert {key.split(".")[0] for key in missing} == {"context"}
    features = torch.randn(1, 128, 320)
    with torch.no_grad():
        assert torch.equal(wide.embed_frames(features), plain.embed_frames(features))
        torch.nn.init.normal_(wide.context[-1].weight)
        frames = torch.randn(1, wide.embedding_dim, 31)
        other = frames.clone()
        other[..., 0] += 1
        apart = (wide.context(frames) - wide.context(other)).abs().amax(dim=(0, 1))
        assert apart[:16].min() > 0
        assert apart[16:].max() == 0
