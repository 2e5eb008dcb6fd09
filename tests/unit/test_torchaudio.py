from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FAILURES = [
    "OSError('undefined symbol')",
    "RuntimeError('compiled with CUDA 12')",
    "ImportError('no')",
]

# As torchaudio 2.11.0 does it, all but the numbers.
CHECK = """
def _check_cuda_version():
    raise RuntimeError(
        "Detected that PyTorch and TorchAudio were compiled with different CUDA versions. "
        "PyTorch has CUDA version {torch} whereas TorchAudio has CUDA version {torchaudio}. "
        "Please install the TorchAudio version that matches your PyTorch version."
    )
"""

# One process for all, for torch takes two seconds; to soundsep each folder is a fresh one.
CODE = """
import json, sys, torch

answers = {}
for folder in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] in ("soundsep", "torchaudio")]:
        del sys.modules[name]
    sys.path.insert(0, folder)
    from soundsep import DependencyError
    from soundsep._torchaudio import torchaudio
    try:
        answers[folder] = "READY" if torchaudio().READY else ""
    except DependencyError as error:
        answers[folder] = str(error)
    sys.path.remove(folder)
print(json.dumps(answers))
"""


def fake(folder: Path, *, torch: str, torchaudio: str, rest: str = "") -> None:
    extension = folder / "torchaudio" / "_extension"
    extension.mkdir(parents=True)
    (extension.parent / "__init__.py").write_text(f"from . import _extension\n{rest}\nREADY = True")
    (extension / "__init__.py").write_text(
        "from .utils import _check_cuda_version\n_check_cuda_version()\n"
    )
    (extension / "utils.py").write_text(CHECK.format(torch=torch, torchaudio=torchaudio))


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, str]:
    """What soundsep says of the torchaudio of each folder, which comes before the real one."""
    root = tmp_path_factory.mktemp("torchaudio")
    for failure in FAILURES:
        (root / failure).mkdir()
        (root / failure / "torchaudio.py").write_text(f"raise {failure}\n")
    fake(root / "minor", torch="13.2", torchaudio="13.0")
    fake(root / "major", torch="13.0", torchaudio="12.8")
    broken = "raise OSError('undefined symbol: _ZN3c10')"
    fake(root / "broken behind", torch="13.2", torchaudio="13.0", rest=broken)
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "torchaudio.py").write_text(
        CHECK.format(torch="13.2", torchaudio="13.0") + "\n_check_cuda_version()"
    )
    folders = sorted(map(str, root.iterdir()))
    done = subprocess.run(
        [sys.executable, "-c", CODE, *folders], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {Path(folder).name: answer for folder, answer in json.loads(done.stdout).items()}
    assert len(found) == len(folders)
    return found


@pytest.mark.parametrize("which", [*FAILURES, "major", "broken behind", "elsewhere"])
def test_a_torchaudio_that_does_not_fit_gives_one_clear_error(answers, which):
    assert "torchaudio cannot be imported beside torch" in answers[which]
    assert "pip install" in answers[which]


def test_another_minor_version_of_cuda_is_no_reason_to_fail(answers):
    assert answers["minor"] == "READY"


def test_another_major_version_of_cuda_is(answers):
    assert "CUDA version 13.0 whereas TorchAudio has CUDA version 12.8" in answers["major"]


def test_what_is_broken_behind_the_check_is_still_told(answers):
    assert "undefined symbol: _ZN3c10" in answers["broken behind"]


def test_a_check_in_another_place_is_not_passed(answers):
    assert "in an unknown place" in answers["elsewhere"]
