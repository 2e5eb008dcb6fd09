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
from soundsep.models import NETWORK_BYTES, NETWORKS, WAVEFORM_NETWORKS, build_network

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
    # The ResNets' blocks, and contexts, start with a scale of zero, which holds gradients back.
    if not name.startswith("resnet") and not name.endswith("-context"):
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
    # Where frames are pooled the logits are averaged, and not the embeddings.
    torch.testing.assert_close(module.head(embedding), together, atol=1e-4, rtol=1e-5)
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


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(PLAIN)))
def test_what_is_no_spectrogram_is_refused(name):
    module = build_network(name, 3).eval()
    for shape in [(128, 40), (1, 1, 128, 40), (1, 128, 0), (1, 0, 40)]:
        with pytest.raises(ShapeError, match=re.escape(f"got {shape}")):
            module(torch.zeros(shape))


def test_the_memory_of_every_network_is_known():
    assert set(NETWORK_BYTES) == set(NETWORKS)
