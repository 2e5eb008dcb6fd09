from __future__ import annotations

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


def after_import(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` where the torchaudio of a folder comes before the real one."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def error_of(folder: Path) -> str:
    done = after_import(
        folder,
        "from soundsep import DependencyError, MelFrontend\n"
        "try: MelFrontend()\n"
        "except DependencyError as error: print(error)",
    )
    assert done.returncode == 0, done.stderr
    assert "torchaudio cannot be imported beside torch" in done.stdout
    assert "pip install" in done.stdout
    return done.stdout


def fake(folder: Path, *, torch: str, torchaudio: str, rest: str = "") -> Path:
    extension = folder / "torchaudio" / "_extension"
    extension.mkdir(parents=True)
    (extension.parent / "__init__.py").write_text(f"from . import _extension\n{rest}\nREADY = True")
    (extension / "__init__.py").write_text(
        "from .utils import _check_cuda_version\n_check_cuda_version()\n"
    )
    (extension / "utils.py").write_text(CHECK.format(torch=torch, torchaudio=torchaudio))
    return folder


@pytest.mark.parametrize("failure", FAILURES)
def test_a_torchaudio_that_does_not_fit_gives_one_clear_error(tmp_path, failure):
    (tmp_path / "torchaudio.py").write_text(f"raise {failure}\n")
    error_of(tmp_path)


def test_another_minor_version_of_cuda_is_no_reason_to_fail(tmp_path):
    done = after_import(
        fake(tmp_path, torch="13.2", torchaudio="13.0"),
        "from soundsep._torchaudio import torchaudio\nprint(torchaudio().READY)",
    )
    assert done.stdout == "True\n", done.stderr


def test_another_major_version_of_cuda_is(tmp_path):
    text = error_of(fake(tmp_path, torch="13.0", torchaudio="12.8"))
    assert "CUDA version 13.0 whereas TorchAudio has CUDA version 12.8" in text


def test_what_is_broken_behind_the_check_is_still_told(tmp_path):
    rest = "raise OSError('undefined symbol: _ZN3c10')"
    text = error_of(fake(tmp_path, torch="13.2", torchaudio="13.0", rest=rest))
    assert "undefined symbol: _ZN3c10" in text


def test_a_check_in_another_place_is_not_passed(tmp_path):
    (tmp_path / "torchaudio.py").write_text(
        CHECK.format(torch="13.2", torchaudio="13.0") + "\n_check_cuda_version()"
    )
    assert "in an unknown place" in error_of(tmp_path)
