"""Frontend and network go through `torch.export` as one graph, for any batch and length."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim, export

from soundsep import Classifier, ClassifierConfig
from soundsep.frontends import KaldiMelConfig, MelConfig

FRONTENDS = {"resnet18": MelConfig(), "mn04": KaldiMelConfig()}


@pytest.fixture(scope="module", params=FRONTENDS)
def model(request):
    torch.manual_seed(0)
    frontend = FRONTENDS[request.param]
    labels = ("a", "b", "c")
    model = Classifier(ClassifierConfig(labels=labels, network=request.param, frontend=frontend))
    for parameter in model.network.head.parameters():  # outputs that tell inputs apart
        torch.nn.init.normal_(parameter, std=0.3)
    model(torch.randn(4, 20_000))  # batch-norm statistics that fit the features
    return model.eval()


@pytest.fixture(scope="module")
def exported(model):
    # Below 33 frames the last maps are one frame wide, which tracing treats as another graph.
    dynamic = {0: Dim("batch", min=1, max=64), 1: Dim("time", min=10_241, max=480_000)}
    return export(model, (torch.randn(2, 80_000),), dynamic_shapes=(dynamic,)).module()


@pytest.mark.parametrize("n_clips", [1, 2, 5])
# 251, 101, 102 and 103 frames, and the shortest: every remainder that the strides can see.
@pytest.mark.parametrize("n_samples", [80_000, 32_000, 32_320, 32_640, 10_241, 48_123])
def test_exported_graph_gives_the_same_logits(model, exported, n_clips, n_samples):
    generator = torch.Generator().manual_seed(n_samples)
    waveform = torch.randn(n_clips, n_samples, generator=generator) * 0.1
    with torch.no_grad():
        expected = model(waveform)
        torch.testing.assert_close(exported(waveform), expected, atol=1e-4, rtol=1e-4)
    assert expected.std(dim=1).min() > 1e-3  # outputs that tell inputs apart


# torch's own loader reads the weights from immutable bytes, and says so.
@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")
def test_exported_program_survives_a_file(model, tmp_path):
    program = export(model, (torch.zeros(1, 16_000),))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    waveform = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(loaded(waveform), model(waveform), atol=1e-4, rtol=1e-4)
