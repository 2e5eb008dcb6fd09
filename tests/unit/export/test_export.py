from __future__ import annotations

import copy
import json
import pickle
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import soundsep
from soundsep.audio.level import without_offset
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.errors import ConfigError, DependencyError, ExportError, ShapeError, WeightsError
from soundsep.export import TOLERANCE, OnnxClassifier, export_onnx
from soundsep.export.graph import RealSpectrogram, serialised
from soundsep.frontends import MEL_PRESETS, KaldiMelConfig, MelConfig, MelFrontend
from soundsep.pipeline import Pipeline

LABELS = ("dog", "Türklopfen", "rain")
SMALL = MelConfig(n_fft=256, win_length=200, hop_length=160, n_mels=16)


def classifier(**settings) -> Classifier:
    """An untrained one whose scores nevertheless depend on what it hears."""
    defaults = {"network": "resnet18", "frontend": SMALL, "window_seconds": 0.5, "hop_seconds": 0.2}
    torch.manual_seed(0)
    model = Classifier(ClassifierConfig(labels=LABELS, **(defaults | settings)))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch gives statistics that fit the features
    model(torch.randn(8, 8_000) * torch.logspace(-4, 0, 8).unsqueeze(1))
    last = [module for module in model.network.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.normal_(last.weight, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> Classifier:
    return classifier()


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop_length", "pad_mode", "power"),
    [
        (1024, 800, 320, "reflect", 2.0),
        (256, 201, 77, "constant", 1.0),
        (255, 200, 50, "reflect", 2.0),
    ],
)
@pytest.mark.parametrize("n_samples", [4_000, 1_023])
def test_the_convolution_is_the_fourier_transform(
    n_fft, win_length, hop_length, pad_mode, power, n_samples
):
    config = MelConfig(
        n_fft=n_fft,
        win_length=win_length,
        hop_length=hop_length,
        n_mels=8,
        pad_mode=pad_mode,
        power=power,
    )
    spectrogram = MelFrontend(config).spectrogram.double()
    waveform = noise(2, n_samples).double()
    expected = spectrogram(waveform)
    found = RealSpectrogram(spectrogram).double()(waveform)
    assert found.shape == expected.shape
    scale = expected.max()  # the kernel holds float32 numbers
    torch.testing.assert_close(found / scale, expected / scale, atol=1e-6, rtol=0)


class Centred(nn.Module):
    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return without_offset(waveform)


def test_an_offset_is_removed_exactly_though_onnx_runtime_rounds_means():
    onnxruntime = pytest.importorskip("onnxruntime")
    axes = {"waveform": {0: "batch", 1: "time"}, "centred": {0: "batch", 1: "time"}}
    session = onnxruntime.InferenceSession(serialised(Centred(), noise(2, 800), axes))
    # Of a recording with such an offset, ONNX Runtime's mean was 2e-5 off.
    waveform = torch.stack((0.01 * noise(80_000) + 0.3, noise(80_000)))
    expected = torch.stack((waveform[0].double() - waveform[0].double().mean(), waveform[1]))
    (found,) = session.run(None, {"waveform": waveform.numpy()})
    for centred in (torch.from_numpy(found), without_offset(waveform)):
        torch.testing.assert_close(centred[0].double(), expected[0], atol=2e-9, rtol=1e-6)
        assert torch.equal(centred[1].double(), expected[1])


def test_the_file_says_what_a_program_needs_and_the_model_stays_as_it_was(tmp_path):
    model = classifier().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modules = [type(module) for module in model.modules()]
    report = export_onnx(model, tmp_path / "deeper" / "model.onnx", name="mine")
    assert report.path == tmp_path / "deeper" / "model.onnx"
    assert report.size_bytes == report.path.stat().st_size
    metadata = OnnxClassifier(report.path).metadata
    assert json.loads(metadata.pop("labels")) == list(LABELS)
    assert ClassifierConfig.from_dict(json.loads(metadata.pop("config"))) == model.config
    assert metadata == {
        "sample_rate": "16000",
        "window_seconds": "0.5",
        "hop_seconds": "0.2",
        "padding": "reflect",
        "min_seconds": "0.0125",
        "min_samples": "1",
        "activation": "softmax",
        "model": "mine",
        "weights": "float32",
        "soundsep_version": soundsep.__version__,
    }
    onnx.checker.check_model(report.path, full_check=True)
    assert b"site-packages" not in report.path.read_bytes()  # nor where it was made
    assert model.training
    assert [type(module) for module in model.modules()] == modules
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_graph_that_differs_is_not_written(model, tmp_path, monkeypatch):
    right = RealSpectrogram.forward
    # Low frequencies take the place of high ones.
    monkeypatch.setattr(RealSpectrogram, "forward", lambda self, x: right(self, x).flip(1))
    path = tmp_path / "model.onnx"
    path.write_text("an older file")
    with pytest.raises(ExportError, match=r"at most 0\.0001, found .*was not written") as caught:
        export_onnx(model, path)
    assert "image" not in str(caught.value)
    assert path.read_text() == "an older file"
    assert list(tmp_path.iterdir()) == [path]
    assert export_onnx(model, path, tolerance=1.0).max_difference > TOLERANCE


@pytest.mark.parametrize("int8", [False, True])
def test_scores_that_are_no_numbers_are_not_written(int8, tmp_path):
    broken = classifier()
    nn.init.constant_(broken.network.head.bias, float("nan"))
    with pytest.raises(ExportError, match="found nan"):
        export_onnx(broken, tmp_path / "model.onnx", int8=int8, tolerance=1.0)
    assert list(tmp_path.iterdir()) == []


def test_rounded_features_are_named_as_the_reason(tmp_path):
    """A grey level at a border falls to either side; how far the scores move is the network's."""
    model = classifier(frontend=MEL_PRESETS["44k-image"])
    with pytest.raises(ExportError, match='scaling="image"'):
        export_onnx(model, tmp_path / "model.onnx", tolerance=0.0)
    assert export_onnx(model, tmp_path / "model.onnx", tolerance=0.05).max_difference < 0.05


class FourierFrontend(nn.Module):
    """Something that ONNX has no operator for."""

    min_samples = 1

    def forward(self, waveform):
        return torch.fft.rfft(waveform.unfold(1, 64, 32)).angle()


def test_a_frontend_that_onnx_cannot_express_is_one_error(tmp_path):
    model = classifier()
    model.frontend = FourierFrontend()
    with pytest.raises(ExportError, match=r"resnet18 cannot be exported to ONNX: .*not written"):
        export_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error(model, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ExportError, match="cannot write"):
        export_onnx(model, tmp_path / "folder.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_remedy(model, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf"{package}, .*pip install .soundsep\[onnx\]"):
        export_onnx(model, tmp_path / "model.onnx")


def test_files_and_waveforms_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"not a model")
    with pytest.raises(WeightsError, match=r"a\.onnx is not a classifier"):
        OnnxClassifier(tmp_path / "a.onnx")
    model = classifier(network="mn04", frontend=KaldiMelConfig(n_mels=32))
    exported = OnnxClassifier(export_onnx(model, tmp_path / "b.onnx", tolerance=1.0).path)
    n_labels, rate = len(exported.labels), exported.sample_rate
    assert repr(exported) == f"OnnxClassifier(mn04, {n_labels} labels, {rate} Hz)"
    assert exported.min_samples == 514
    for shape in [(8_000,), (0, 8_000), (1, 513)]:
        with pytest.raises(ShapeError, match="514 samples"):
            exported.predict(torch.zeros(shape))
    with pytest.raises(ShapeError, match=r"expects a tensor .*got ndarray"):
        exported.predict(np.zeros((1, 8_000), np.float32))
    with pytest.raises(WeightsError, match=r"absent\.onnx is no file"):
        OnnxClassifier(tmp_path / "absent.onnx")


@pytest.mark.parametrize("given", ["a", "Pipeline"])
def test_what_is_no_classifier_is_not_exported(model, given, tmp_path):
    wrong = Pipeline(model) if given == "Pipeline" else given
    with pytest.raises(ConfigError, match=rf"takes a Classifier, got .*{given}.*pipe\.classifier"):
        export_onnx(wrong, tmp_path / "model.onnx")


@pytest.mark.parametrize("from_bytes", [False, True])
def test_an_exported_file_goes_to_other_processes(model, tmp_path, monkeypatch, from_bytes):
    path = export_onnx(model, tmp_path / "model.onnx").path
    monkeypatch.chdir(tmp_path)
    pipe = Pipeline(OnnxClassifier(path.read_bytes() if from_bytes else path.name, n_threads=1))
    monkeypatch.chdir(tmp_path.parent)  # a relative path means the same file there
    recording = noise(1, 8_000)[0]
    expected = pipe(recording, sample_rate=16_000)
    for other in (pickle.loads(pickle.dumps(pipe)), copy.deepcopy(pipe)):
        assert other(recording, sample_rate=16_000) == expected
        assert other.classifier.metadata == pipe.classifier.metadata


def test_only_the_spectrogram_and_single_channels_stay_exact(model, tmp_path):
    whole = export_onnx(model, tmp_path / "whole.onnx")
    short = export_onnx(model, tmp_path / "short.onnx", int8=True)
    assert short.size_bytes < 0.3 * whole.size_bytes
    assert TOLERANCE < short.max_difference < 0.5
    assert short.same_top > 0.5
    nodes = onnx.load_model(short.path).graph.node
    quantised = [node.name for node in nodes if node.op_type == "ConvInteger"]
    assert len(quantised) == 20  # the convolutions of a ResNet-18
    assert all("/network/" in name for name in quantised)
    model = classifier(network="mn04", frontend=KaldiMelConfig())
    export_onnx(model, tmp_path / "mobile.onnx", int8=True)
    nodes = onnx.load_model(tmp_path / "mobile.onnx").graph.node
    exact = [node for node in nodes if node.op_type == "Conv" and "/network/" in node.name]
    assert len(exact) == 15  # the depthwise ones
    assert all(a.i > 1 for node in exact for a in node.attribute if a.name == "group")


@pytest.mark.parametrize("frames", [False, True])
def test_a_pipeline_takes_the_file_as_it_takes_the_classifier(tmp_path, frames):
    frontend = KaldiMelConfig(
        sample_rate=16_000, n_fft=512, win_length=400, hop_length=160, level_db=23.5
    )
    network = "mn04-frames" if frames else "resnet18"
    model = classifier(
        network=network, frontend=frontend if frames else MelConfig(), hop_seconds=0.5
    )
    path = export_onnx(model, tmp_path / "model.onnx", frames=frames, tolerance=0.01).path
    recording = noise(1, 40_000)[0]
    pipes = [Pipeline(model), Pipeline(OnnxClassifier(path, n_threads=1))]
    one, other = (pipe(recording, sample_rate=16_000) for pipe in pipes)
    found = {p.label: p.score for p in other.predictions}
    assert {p.label: p.score for p in one.predictions} == pytest.approx(found, abs=0.01)
    one, other = (pipe.scores(recording, sample_rate=16_000) for pipe in pipes)
    assert one.rows == other.rows == ("frames" if frames else "windows")
    torch.testing.assert_close(one.values, other.values, atol=0.01, rtol=0)
    assert torch.equal(one.edges_seconds, other.edges_seconds)
    assert repr(pipes[1]) == f"Pipeline(OnnxClassifier, {len(LABELS)} labels, 16000 Hz)"
