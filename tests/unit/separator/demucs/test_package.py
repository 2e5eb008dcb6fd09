from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

FAILURES = ["ImportError('gone')", "OSError('undefined symbol')"]

# Everything that soundsep does without demucs, where whoever imports demucs fails in this way.
CODE = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "demucs":
            raise {failure}

sys.meta_path[:] = [Blocker(), *(m for m in sys.meta_path if type(m).__name__ != "Blocker")]
import soundsep
for module in pkgutil.walk_packages(soundsep.__path__, "soundsep."):
    if not module.name.endswith((".__main__", ".ray")):
        importlib.import_module(module.name)
import torch
from soundsep import Classifier, ClassifierConfig, DependencyError, MelConfig, Pipeline, Separator
from soundsep.cli import main
from soundsep.models.separation import build_separation_network
from soundsep.separator import SeparatorConfig

config = SeparatorConfig(
    sources=("a", "b"), sample_rate=16_000, n_channels=1, segment_seconds=1.0, network="mask-unet"
)
ours = Separator(build_separation_network("mask-unet", n_sources=2), config)
classifier = Classifier(
    ClassifierConfig(labels=("dog", "cat"), network="cnn4", frontend=MelConfig())
)
assert Pipeline(classifier, separator=ours)(torch.randn(16_000), sample_rate=16_000).label
assert main(["models"]) == 0
try:
    Separator.from_pretrained({folder!r})
except DependencyError as error:
    print("told:", error)
"""

FORGET = """
for name in [name for name in sys.modules if name.split(".")[0] == "soundsep"]:
    del sys.modules[name]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, str]:
    """What a fresh soundsep says where demucs fails in each way; one process, for torch is slow."""
    folder = tmp_path_factory.mktemp("bag")
    (folder / "bag.yaml").write_text("models: ['0123abcd']\n")
    metadata = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": "{}"}
    save_file({"weight": torch.zeros(1)}, folder / "0123abcd.safetensors", metadata=metadata)
    code = FORGET.join(CODE.format(failure=failure, folder=str(folder)) for failure in FAILURES)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^told: (.*)", done.stdout, re.MULTILINE)
    return dict(zip(FAILURES, lines, strict=True))


@pytest.mark.parametrize("failure", FAILURES)
def test_without_demucs_all_else_works(failure, told):
    assert "this separator needs demucs, which cannot be imported" in told[failure]
