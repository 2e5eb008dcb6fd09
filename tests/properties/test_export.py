"""Frontend and network become one graph, of `torch.export` or ONNX, for any batch and length."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim, export

from soundsep import Classifier, ClassifierConfig, ConfigError
from soundsep.export import TOLERANCE, OnnxClassifier, export_onnx
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


ONNX_CASES = {
    "zero-padded mel": {"network": "resnet18", "frontend": MelConfig()},
    "reflected amplitude": {
        "network": "resnet18",
        "frontend": MelConfig(pad_mode="reflect", power=1.0, top_db=None, scaling="none"),
        "temperature": 0.5,
    },
    "kaldi": {"network": "mn04", "frontend": KaldiMelConfig(), "activation": "sigmoid"},
    "soft": {"network": "mn04", "frontend": KaldiMelConfig(min_level_db=15.0)},
    "bands": {"network": "mn04-bands", "frontend": KaldiMelConfig(n_mels=128, f_max=14_000.0)},
    "frames": {
        "network": "mn04-frames",
        "frontend": KaldiMelConfig(
            sample_rate=16_000, n_fft=512, win_length=400, hop_length=160, level_db=23.5
        ),
        "activation": "sigmoid",
        "temperature": (0.5, 1.0, 2.0),
    },
    "8 bits": {"network": "resnet18", "frontend": MelConfig()},
}


@pytest.fixture(scope="module", params=ONNX_CASES)
def onnx_pair(request, tmp_path_factory):
    """A classifier and its file, and how far their scores may be apart."""
    torch.manual_seed(0)
    settings = {"labels": ("a", "b", "c"), "window_seconds": 1.0, "hop_seconds": 0.5}
    model = Classifier(ClassifierConfig(**(settings | ONNX_CASES[request.param])))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # one batch gives statistics that fit the features
    model(torch.randn(8, 20_000) * torch.logspace(-4, 0, 8).unsqueeze(1))
    # Scores that tell inputs apart; an untrained MobileNet blows up what was rounded, too.
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    torch.nn.init.normal_(last.weight, std=0.3 if model.config.network == "resnet18" else 0.01)
    if model.frame_seconds is not None:
        torch.nn.init.normal_(model.network.head.weight, std=0.004)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    int8 = request.param == "8 bits"
    export_onnx(model.eval(), path, int8=int8, frames=request.param == "frames")
    return model, OnnxClassifier(path), 0.3 if int8 else TOLERANCE


@pytest.mark.parametrize("n_clips", [1, 3])
@pytest.mark.parametrize("n_samples", [48_123, 1_025])
def test_onnx_file_gives_the_same_scores(onnx_pair, n_clips, n_samples):
    model, exported, tolerance = onnx_pair
    generator = torch.Generator().manual_seed(n_samples)
    waveform = torch.randn(n_clips, n_samples, generator=generator) * 0.1
    with torch.inference_mode():
        expected = model.predict(waveform)
    torch.testing.assert_close(exported.predict(waveform), expected, atol=tolerance, rtol=0)
    if model.frame_seconds is None:
        with pytest.raises(ConfigError, match="no scores of frames"):
            exported.frame_scores(waveform)
        return
    assert float(exported.metadata["frame_seconds"]) == model.frame_seconds
    with torch.inference_mode():
        frames = model.frame_scores(waveform)
    torch.testing.assert_close(exported.frame_scores(waveform), frames, atol=tolerance, rtol=0)
    assert frames.shape[:2] == (n_clips, -(-n_samples // 2_560))


def test_in_onnx_a_clip_does_not_hear_its_neighbours(onnx_pair):
    _, exported, _ = onnx_pair
    noise = torch.randn(3, 16_000, generator=torch.Generator().manual_seed(0))
    quiet, loud = 1e-4 * noise[:1], 9 * noise[1:]
    together = exported.predict(torch.cat((loud, quiet)))
    torch.testing.assert_close(together[2:], exported.predict(quiet), atol=1e-5, rtol=0)
    assert (together[0] - together[2]).abs().max() > 1e-3  # scores that tell inputs apart
