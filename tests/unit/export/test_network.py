"""A classifier's network in ONNX Runtime, behind a pipeline."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnx", reason="needs the extra onnx")

from soundsep import Classifier, ClassifierConfig, ConfigError, MelConfig, Pipeline
from soundsep.cli import main
from soundsep.errors import DependencyError, ExportError
from soundsep.export import TOLERANCE, OnnxClassifier, export_onnx, network
from soundsep.frontends import GammatoneConfig, KaldiMelConfig, WaveformConfig
from soundsep.models import NETWORKS, WAVEFORM_NETWORKS
from soundsep.separator import Separator, SeparatorConfig

LABELS = ("dog", "rain", "siren")
SMALL = MelConfig(n_fft=256, win_length=200, hop_length=160, n_mels=16)


def classifier(network: str = "cnn4", **settings) -> Classifier:
    """An untrained one whose scores nevertheless depend on what it hears."""
    frontend = {
        "mn04-bands": KaldiMelConfig(n_mels=128, f_max=14_000.0),
        "mn10-bands": KaldiMelConfig(n_mels=128, f_max=14_000.0),
        "mn04-frames": KaldiMelConfig(n_mels=128, f_max=14_000.0),
        "mn04-context": KaldiMelConfig(n_mels=128, f_max=14_000.0),
    }.get(network, WaveformConfig() if network in WAVEFORM_NETWORKS else SMALL)
    defaults = {"frontend": frontend, "window_seconds": 1.0, "hop_seconds": 0.5}
    torch.manual_seed(0)
    model = Classifier(ClassifierConfig(labels=LABELS, network=network, **(defaults | settings)))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    sound = torch.randn(8, model.config.window_samples) * torch.logspace(-2, 0, 8).unsqueeze(1)
    with torch.no_grad():
        model(sound)
        spread = model.eval()(sound).std(dim=0).clamp(min=1e-6)
        last = [module for module in model.network.modules() if isinstance(module, nn.Linear)][-1]
        if model.frame_seconds is not None:
            last = model.network.head
        last.weight.div_(2 * spread.unsqueeze(1))
    return model.eval()


def recording(seconds: float, rate: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    loudness = torch.linspace(0.01, 0.3, round(seconds * rate))
    return loudness * torch.randn(round(seconds * rate), generator=generator)


def assert_same(one: Pipeline, other: Pipeline, *, seconds: float = 3.3) -> None:
    """Everything that a pipeline does gives the same with both."""
    rate = one.sample_rate
    clips = [recording(s, rate, seed) for seed, s in enumerate((seconds, 1.0, 0.4))]
    for a, b in zip(*(p(clips, sample_rate=rate, batch_size=2) for p in (one, other)), strict=True):
        found = {p.label: p.score for p in b.predictions}
        assert {p.label: p.score for p in a.predictions} == pytest.approx(found, abs=TOLERANCE)
    a, b = (p.scores(clips[0], sample_rate=rate) for p in (one, other))
    assert a.rows == b.rows
    torch.testing.assert_close(a.values, b.values, atol=TOLERANCE, rtol=0)
    a, b = (p.embed(clips, sample_rate=rate) for p in (one, other))
    torch.testing.assert_close(a, b, atol=1e-4 * float(a.abs().max()), rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_the_scores_of_torch(name):
    activation = "sigmoid" if name in ("mn04-frames", "mn04-context") else "softmax"
    model = classifier(name, activation=activation)
    assert_same(Pipeline(model), Pipeline(model, runtime="onnx"), seconds=2.3)


def test_frontends_that_onnx_cannot_express_stay_in_torch():
    for frontend in (GammatoneConfig(n_bands=16), MelConfig(n_mels=16, scaling="image")):
        model = classifier(frontend=frontend)
        assert_same(Pipeline(model), Pipeline(model, runtime="onnx"))


def test_events_and_streams_are_the_same():
    model = classifier("mn04-frames", activation="sigmoid", median_seconds=0.5)
    pipes = Pipeline(model), Pipeline(model, runtime="onnx")
    rate = model.sample_rate
    sound = recording(8, rate)
    found = [list(p.events(sound, sample_rate=rate, threshold=0.4)) for p in pipes]
    assert len(found[0]) >= 1
    for pipe in pipes:
        stream = pipe.stream(sample_rate=rate, threshold=0.4)
        events = [event for block in sound.split(rate // 3) for event in stream.push(block)]
        found.append(sorted(events + stream.flush(), key=lambda e: e.start_seconds))
    for events in found[1:]:
        assert [(e.label, e.start_seconds, e.end_seconds) for e in events] == [
            (e.label, e.start_seconds, e.end_seconds) for e in found[0]
        ]
        assert [e.score for e in events] == pytest.approx(
            [e.score for e in found[0]], abs=TOLERANCE
        )


class Halves(nn.Module):
    """A mixture as the sum of what differs from its neighbours and of what does not."""

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        smooth = nn.functional.avg_pool1d(mixture, 9, stride=1, padding=4)
        return torch.stack((smooth, mixture - smooth), dim=1)


def test_sources_of_a_separator_are_classified_too():
    model = classifier()
    config = SeparatorConfig(
        sources=("a", "b"), sample_rate=16_000, n_channels=1, segment_seconds=0.5
    )
    separator = Separator(Halves(), config)
    one, other = (
        Pipeline(model, separator=separator, runtime=runtime)(
            recording(1, 16_000), sample_rate=16_000
        )
        for runtime in ("torch", "onnx")
    )
    found = {p.label: p.score for p in other.predictions}
    assert {p.label: p.score for p in one.predictions} == pytest.approx(found, abs=TOLERANCE)


def test_the_classifier_stays_a_torch_module_that_is_trained_and_saved(tmp_path):
    model = classifier()
    pipe = Pipeline(model, runtime="onnx")
    assert pipe.classifier is model
    assert repr(pipe) == "Pipeline(cnn4, ONNX Runtime, 3 labels, 16000 Hz)"
    model.save_pretrained(tmp_path)
    assert_same(Pipeline(model), Pipeline.from_pretrained(tmp_path, runtime="onnx"))
    with torch.no_grad():
        model.network.blocks[0][0].weight.mul_(-1)  # a step of training
    assert_same(Pipeline(model), pipe)
    for other in (copy.deepcopy(pipe), pickle.loads(pickle.dumps(pipe))):
        assert_same(pipe, other)


def test_the_graph_is_made_once_and_what_is_damaged_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path))
    model = classifier()
    Pipeline(model, runtime="onnx")
    (file,) = (tmp_path / "onnx").iterdir()
    content = file.read_bytes()

    def refuse(*_):
        raise AssertionError("made again")

    with monkeypatch.context() as patched:
        patched.setattr(network, "serialised", refuse)
        patched.setitem(sys.modules, "onnx", None)  # only who makes a graph needs it
        assert_same(Pipeline(model), Pipeline(model, runtime="onnx"))
    for damaged in (b"", content[:-9], b"x" + content[1:]):
        file.write_bytes(damaged)
        assert_same(Pipeline(model), Pipeline(model, runtime="onnx"))
        assert file.read_bytes()[:64] != damaged[:64] or len(damaged) < len(content)
        assert len(file.read_bytes()) == len(content)
    other = classifier()
    with torch.no_grad():
        other.network.blocks[0][0].weight.add_(1e-3)
    Pipeline(other, runtime="onnx")
    assert len(list((tmp_path / "onnx").iterdir())) == 2


def test_a_cache_that_cannot_be_written_costs_no_answer(tmp_path, monkeypatch):
    (tmp_path / "onnx").write_text("no folder")
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path))
    model = classifier()
    assert_same(Pipeline(model), Pipeline(model, runtime="onnx"))
    monkeypatch.delenv("SOUNDSEP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(network, "cache_root", lambda: (_ for _ in ()).throw(ConfigError("none")))
    assert_same(Pipeline(model), Pipeline(model, runtime="onnx"))


def test_the_number_of_threads_follows_torch(monkeypatch):
    started: list[int] = []
    start = network.Session._started
    monkeypatch.setattr(
        network.Session, "_started", lambda self, n: started.append(n) or start(self, n)
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        pipe = Pipeline(classifier(), runtime="onnx")
        pipe(recording(1, 16_000))
        torch.set_num_threads(2)
        pipe(recording(1, 16_000))
        pipe(recording(1, 16_000))
    finally:
        torch.set_num_threads(before)
    assert started == [1, 2]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_remedy(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf"{package}, .*pip install .soundsep\[onnx\]"):
        Pipeline(classifier(), runtime="onnx")


class Louder(Classifier):
    """Whose scores are not those of its network alone."""


def test_what_onnx_runtime_cannot_run_is_refused(tmp_path):
    model = classifier()
    with pytest.raises(ConfigError, match=r"runs on the CPU, not on 'cuda'"):
        Pipeline(model, runtime="onnx", device="cuda")
    with pytest.raises(ConfigError, match=r"not a Louder"):
        Pipeline(Louder(model.config), runtime="onnx")
    exported = OnnxClassifier(export_onnx(model, tmp_path / "a.onnx").path)
    with pytest.raises(ConfigError, match=r"not a OnnxClassifier, which is run as it is"):
        Pipeline(exported, runtime="onnx")
    with pytest.raises(ConfigError, match=r"runtime must be one of 'torch', 'onnx'; got 'tflite'"):
        Pipeline(model, runtime="tflite")


def test_a_graph_that_differs_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path))
    right = network.Session.__call__
    monkeypatch.setattr(network.Session, "__call__", lambda self, x: 1.1 * right(self, x))
    with pytest.raises(ExportError, match=r'at most 0\.0001, found .*use runtime="torch"'):
        Pipeline(classifier(), runtime="onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_that_onnx_cannot_express_is_one_error():
    model = classifier()
    model.network.embed = lambda features: torch.fft.rfft(features).angle().mean(dim=1)
    with pytest.raises(ExportError, match=r"'cnn4' cannot be run in ONNX Runtime: .*torch"):
        Pipeline(model, runtime="onnx")


def test_the_command_line_takes_a_runtime(tmp_path, capsys):
    import soundfile

    model = tmp_path / "model"
    classifier().save_pretrained(model)
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, recording(2.5, 16_000).numpy(), 16_000)
    found = []
    for runtime in ("torch", "onnx"):
        options = ["--model", str(model), "--runtime", runtime]
        assert main(["classify", str(clip), "--json", *options]) == 0
        result = json.loads(capsys.readouterr().out)
        assert main(["events", str(clip), "--format", "jsonl", *options]) == 0
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        found.append((result, events))
    (one, events), (other, others) = found
    scores = [{p["label"]: p["score"] for p in r["predictions"]} for r in (one, other)]
    assert scores[0] == pytest.approx(scores[1], abs=TOLERANCE)
    assert events
    assert [e["label"] for e in events] == [e["label"] for e in others]


def test_onnx_runtime_reports_to_nobody(tmp_path):
    """It keeps an identifier in the home folder, and reports, unless that is switched off."""
    program = (
        "import torch; from soundsep.export.runtime import require\n"
        "onnx, ort = require('onnx'), require('onnxruntime')\n"
        "from onnx import TensorProto, helper\n"
        "x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in 'xy')\n"
        "graph = helper.make_graph([helper.make_node('Neg', ['x'], ['y'])], 'g', [x], [y])\n"
        "model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], "
        "ir_version=8)\n"
        "ort.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])\n"
    )
    hidden = {"ORT_DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden and "PYTEST" not in k}
    subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"HOME": str(tmp_path)},
        check=True,
        timeout=120,
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
