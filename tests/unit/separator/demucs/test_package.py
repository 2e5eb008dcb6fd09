from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

# Everything that soundsep does without demucs, where whoever imports demucs fails in this way.
CODE = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "demucs":
            raise {failure}

sys.meta_path.insert(0, Blocker())
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


@pytest.mark.parametrize("failure", ["ImportError('gone')", "OSError('undefined symbol')"])
def test_without_demucs_all_else_works(failure, tmp_path):
    (tmp_path / "bag.yaml").write_text("models: ['0123abcd']\n")
    metadata = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": "{}"}
    save_file({"weight": torch.zeros(1)}, tmp_path / "0123abcd.safetensors", metadata=metadata)
    code = CODE.format(failure=failure, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "told: this separator needs demucs, which cannot be imported" in done.stdout
