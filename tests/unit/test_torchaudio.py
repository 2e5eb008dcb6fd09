from __future__ import annotations

import subprocess
import sys

import pytest

FAILURES = [
    "OSError('undefined symbol')",
    "RuntimeError('compiled with CUDA 12')",
    "ImportError('no')",
]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_torchaudio_that_does_not_fit_gives_one_clear_error(tmp_path, failure):
    (tmp_path / "torchaudio.py").write_text(f"raise {failure}\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from soundsep import DependencyError, MelFrontend\n"
        "try: MelFrontend()\n"
        "except DependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "torchaudio cannot be imported beside torch" in done.stdout
    assert "pip install" in done.stdout
