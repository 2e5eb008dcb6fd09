"""A process that was forked after a model had computed goes on, and ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

SCRIPT = """
import ctypes, os, pickle, signal, sys, threading, warnings
import torch
from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline, Separator, SoundsepWarning
from soundsep.export import OnnxClassifier, export_onnx
from soundsep.models.separation import mask_unet
from soundsep.separator import SeparatorConfig

warnings.simplefilter("ignore", DeprecationWarning)  # of the fork
kind, path, by = sys.argv[1:]
fork = os.fork if by == "python" else ctypes.PyDLL(None).fork
torch.set_num_threads(2)
torch.manual_seed(0)
config = ClassifierConfig(labels=("a", "b"), network="mn04", frontend=MelConfig(n_mels=128))
model = Classifier(config)
if kind == "separator":
    settings = SeparatorConfig(
        sources=("x", "y"), sample_rate=16_000, n_channels=1, segment_seconds=1.0
    )
    separator = Separator(mask_unet(2), settings)
    answer = lambda noise: separator(noise, 16_000).audio[0, 0]
else:
    if kind == "exported":
        export_onnx(model, path)
        model = OnnxClassifier(path, n_threads=2)
    pipe = Pipeline(model, runtime="onnx" if kind == "onnx" else "torch")
    answer = lambda noise: torch.tensor(pipe(noise, sample_rate=16_000).score)
noise = torch.randn(80_000)
expected = answer(noise)

if child := fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.alarm(60)
found = []
thread = threading.Thread(target=lambda: found.append(answer(noise)))  # it has threads of its own
with warnings.catch_warnings():
    warnings.simplefilter("error", SoundsepWarning)
    thread.start()
    thread.join()
assert torch.get_num_threads() == 2
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    if kind == "copy":
        pipe = pickle.loads(pickle.dumps(pipe))
    found += [answer(noise), answer(noise)]
assert all(torch.allclose(one, expected, atol=1e-5) for one in found)
assert [str(w.message)[:23] for w in warned] == ["this process was forked"], warned
assert torch.get_num_threads() == 1
"""


KINDS = ["torch", "copy", "separator", "onnx", "exported"]


@pytest.mark.parametrize(
    ("kind", "by"), [*((kind, "python") for kind in KINDS), ("torch", "c"), ("onnx", "c")]
)
def test_a_fork_does_not_wait_for_threads_of_its_parent(kind, by, tmp_path):
    """Servers in C fork without Python's hooks, as uWSGI does by default."""
    if kind in ("onnx", "exported"):
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
    environment = {**os.environ, "SOUNDSEP_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, kind, str(tmp_path / "model.onnx"), by]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LOADED = """
import os, signal, sys, warnings
import torch
from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline, Separator
from soundsep.models.separation import mask_unet
from soundsep.separator import SeparatorConfig

warnings.simplefilter("ignore", DeprecationWarning)  # of the fork
kind, path = sys.argv[1:]
torch.set_num_threads(2)
config = ClassifierConfig(labels=("a", "b"), network="mn04", frontend=MelConfig(n_mels=128))
model = Classifier(config)
noise = torch.randn(80_000)
Pipeline(model)(noise, sample_rate=16_000)
if kind == "Separator":
    sources = {"sources": ("x", "y"), "interchangeable": True, "network": "mask-unet"}
    config = SeparatorConfig(**sources, sample_rate=16_000, n_channels=1, segment_seconds=1.0)
    model = Separator(mask_unet(2), config)
model.save_pretrained(path)

if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.alarm(60)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    {"Pipeline": Pipeline, "Separator": Separator}[kind].from_pretrained(path)(noise)
assert "this process was forked" in str(warned[0].message), warned
"""


@pytest.mark.parametrize("kind", ["Pipeline", "Separator"])
def test_a_model_that_a_fork_loads_itself_does_not_wait_either(kind, tmp_path):
    command = [sys.executable, "-c", LOADED, kind, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


ONLY_IMPORTED = """
import os, sys, warnings
import torch
from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline

warnings.simplefilter("error")
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
torch.set_num_threads(2)
config = ClassifierConfig(labels=("a", "b"), network="mn04", frontend=MelConfig(n_mels=128))
Pipeline(Classifier(config))(torch.randn(80_000), sample_rate=config.frontend.sample_rate)
assert torch.get_num_threads() == 2
"""


def test_a_fork_of_a_process_without_a_model_has_all_its_threads():
    command = [sys.executable, "-c", ONLY_IMPORTED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
