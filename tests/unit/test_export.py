from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from soundsep import export
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.errors import DependencyError, WeightsError
from soundsep.export import export_onnx
from soundsep.frontends import KaldiMelConfig, MelConfig

SMALL = {
    "labels": ("dog", "rain", "siren"),
    "window_seconds": 1.0,
    "hop_seconds": 0.5,
    "temperature": 0.7,
}
CASES = {
    "resnet": {"network": "resnet18", "frontend": MelConfig(n_mels=32)},
    "mobilenet": {"network": "mn04-bands", "frontend": KaldiMelConfig()},
    "sigmoid": {"network": "mn04", "frontend": KaldiMelConfig(), "activation": "sigmoid"},
}


def classifier(**settings) -> Classifier:
    torch.manual_seed(0)
    return Classifier(ClassifierConfig(**(SMALL | settings))).eval()


@pytest.mark.parametrize("case", CASES)
def test_the_file_answers_as_pytorch_does_for_other_lengths_and_batches(case, tmp_path):
    import onnxruntime

    model = classifier(**CASES[case])
    report = export_onnx(model, tmp_path / "model.onnx", name=case)
    assert report.max_difference <= export.TOLERANCE
    assert report.size_bytes == (tmp_path / "model.onnx").stat().st_size
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    name = session.get_inputs()[0].name
    for seed, (n, seconds) in enumerate([(1, 1.0), (3, 1.37)]):
        rng = np.random.default_rng(seed)
        waveform = rng.normal(0, 0.1, (n, round(seconds * model.sample_rate))).astype(np.float32)
        with torch.inference_mode():
            expected = model.predict(torch.from_numpy(waveform)).numpy()
        found = session.run(None, {name: waveform})[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)
        alone = session.run(None, {name: waveform[:1]})[0]
        np.testing.assert_allclose(alone, found[:1], atol=1e-5)
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["labels"]) == list(SMALL["labels"])
    assert int(notes["sample_rate"]) == model.sample_rate


def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(WeightsError):
        export_onnx(classifier(**CASES["mobilenet"]), tmp_path / "model.onnx", name="x")
    assert list(tmp_path.iterdir()) == []


def test_8_bits_make_a_smaller_file(tmp_path):
    model = classifier(**CASES["resnet"])
    whole = export_onnx(model, tmp_path / "whole.onnx", name="x")
    short = export_onnx(model, tmp_path / "short.onnx", name="x", int8=True)
    assert short.size_bytes < 0.5 * whole.size_bytes
    assert short.same_top > 0.5


def test_without_the_extra_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(DependencyError, match=r"soundsep\[onnx\]"):
        export_onnx(classifier(**CASES["mobilenet"]), tmp_path / "model.onnx", name="x")
