from __future__ import annotations

import pytest
import torch
from torch import nn

from soundsep.models.frames import mn04_frames
from soundsep.training.depthwise import quicken_depthwise


@pytest.mark.parametrize("n_frames", [1, 2, 9, 32])
@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 2)), ((2, 1), (1, 1))])
def test_values_and_gradients_are_those_of_the_plain_convolution(n_frames, stride, dilation):
    padding = (2, 2 * dilation[1])
    plain = nn.Conv2d(6, 6, 5, stride, padding, dilation, groups=6, bias=False)
    quick = nn.Conv2d(6, 6, 5, stride, padding, dilation, groups=6, bias=False)
    quick.load_state_dict(plain.state_dict())
    quicken_depthwise(nn.Sequential(quick))
    assert type(quick) is not nn.Conv2d
    maps = [torch.randn(3, 6, 8, n_frames, requires_grad=True) for _ in range(2)]
    maps[1].data.copy_(maps[0].data)
    answers = [convolution(x) for convolution, x in zip((plain, quick), maps, strict=True)]
    torch.testing.assert_close(*answers)
    pull = torch.randn(answers[0].shape)
    for answer in answers:
        (answer * pull).sum().backward()
    torch.testing.assert_close(maps[0].grad, maps[1].grad)
    torch.testing.assert_close(plain.weight.grad, quick.weight.grad)


def test_only_layers_that_learn_and_are_slow_are_changed():
    network = mn04_frames(3)
    for module in list(network.blocks)[:13]:
        module.requires_grad_(requires_grad=False)
    names = set(network.state_dict())
    quicken_depthwise(network)
    changed = [
        m for m in network.modules() if isinstance(m, nn.Conv2d) and type(m) is not nn.Conv2d
    ]
    assert [m.dilation for m in changed] == [(1, 2), (1, 2)]
    assert set(network.state_dict()) == names
