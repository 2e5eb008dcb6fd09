"""Every network of the table, by the same questions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from soundsep import Classifier, ClassifierConfig
from soundsep.errors import ShapeError
from soundsep.frontends import MelConfig, WaveformConfig
from soundsep.models import NETWORKS, WAVEFORM_NETWORKS, build_network
from soundsep.models.parts import MaxPool

PAGE = Path(__file__).resolve().parents[3] / "docs" / "networks.md"
# As small as the networks with a head on bands allow, and the two of the projects' spectrograms.
SPECTROGRAMS = ((97, 33), (100, 384), (128, 431))
WAVEFORMS = ((1, 5_001), (1, 16_000), (1, 44_100))
PLAIN = [name for name in NETWORKS if not name.startswith(("resnet", "mn"))]


def sizes(name: str) -> tuple[tuple[int, int], ...]:
    return WAVEFORMS if name in WAVEFORM_NETWORKS else SPECTROGRAMS


def random_features(n_clips: int, size: tuple[int, int]) -> Tensor:
    return torch.randn(n_clips, *size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    module = build_network(request.param, 50)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.momentum = None  # statistics that fit from the first batch on
    return request.param, module


def test_the_page_lists_every_network_with_its_features_and_parameters(network):
    name, module = network
    rows = re.findall(r"^\| `([\w.-]+)` \| (\w+) \| ([\d,]+) \|", PAGE.read_text("utf-8"), re.M)
    page = {row: (kind, int(count.replace(",", ""))) for row, kind, count in rows}
    kind = "waveform" if name in WAVEFORM_NETWORKS else "spectrogram"
    assert page[name] == (kind, sum(p.numel() for p in module.parameters()))
    assert [row for row, _, _ in rows] == list(NETWORKS)


@pytest.mark.parametrize("index", range(3))
def test_forward_and_backward(network, index):
    name, module = network
    module.train().zero_grad()
    features = random_features(2, sizes(name)[index]).requires_grad_()
    logits = module(features)
    assert logits.shape == (2, 50)
    nn.functional.cross_entropy(logits, torch.tensor([3, 7])).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    # The ResNets' blocks start with a scale of zero, which holds gradients back.
    if not name.startswith("resnet"):
        for key, parameter in module.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.any(), key


def test_a_clip_does_not_hear_its_neighbours(network):
    name, module = network
    batch = random_features(3, sizes(name)[0]) * torch.tensor([0.1, 1.0, 30.0])[:, None, None]
    module.train()(batch)
    module.eval()
    with torch.no_grad():
        together, embedding = module(batch), module.embed(batch)
        alone = torch.cat([module(clip[None]) for clip in batch])
    assert embedding.shape == (3, module.embedding_dim)
    assert torch.equal(module.head(embedding), together)
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)
    assert (together[0] - together[1]).abs().max() > 1e-4  # outputs that tell inputs apart


def test_saved_and_loaded_it_is_the_same(network, tmp_path):
    name, _ = network
    frontend = WaveformConfig() if name in WAVEFORM_NETWORKS else MelConfig(n_mels=128)
    torch.manual_seed(1)
    labels = ("dog", "rain", "siren")
    model = Classifier(ClassifierConfig(labels=labels, network=name, frontend=frontend))
    waveform = random_features(2, (1, 8_000))[:, 0]
    model.train()(waveform)  # batch-norm statistics other than those it starts with
    model.eval().save_pretrained(tmp_path)
    loaded = Classifier.from_pretrained(tmp_path)
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded(waveform), model(waveform))


@pytest.mark.parametrize("name", PLAIN)
def test_the_smallest_input_goes_in_and_none_smaller(name):
    module = build_network(name, 3).eval()
    with torch.no_grad():
        assert module(torch.ones(1, 1, 1)).isfinite().all()
    wrong = [(1, 16_000), (1, 1, 16, 16), (1, 1, 0)]
    wrong += [(2, 64, 251)] if name in WAVEFORM_NETWORKS else [(1, 0, 40)]
    for shape in wrong:
        with pytest.raises(ShapeError, match=re.escape(f"got {shape}")):
            module(torch.zeros(shape))


def test_aclnet_has_as_many_weights_as_its_abstract_says():
    matrices = [p for p in build_network("aclnet-0.5", 50).parameters() if p.ndim > 1]
    assert round(sum(p.numel() for p in matrices), -3) == 155_000


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


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (32, 125), (31, 126)])
def test_pools_round_up_and_are_the_same_when_traced(size, monkeypatch):
    pool, pool_1d = MaxPool(4, 2), MaxPool(1, 4)
    x = -torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    eager, eager_1d = pool(x), pool_1d(x[:, :, :1])
    assert eager.shape == (2, 3, -(-size[0] // 4), -(-size[1] // 2))
    assert eager[1, 2, -1, -1] == x[1, 2, (size[0] - 1) // 4 * 4 :, (size[1] - 1) // 2 * 2 :].max()
    assert eager_1d.shape == (2, 3, 1, -(-size[1] // 4))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(pool(x), eager)
    assert torch.equal(pool_1d(x[:, :, :1]), eager_1d)
