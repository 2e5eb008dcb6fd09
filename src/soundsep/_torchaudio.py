"""The only module that imports torchaudio, so that a wrong build gives one clear error."""

from __future__ import annotations

import functools
import importlib
import re
import sys
from types import ModuleType

from soundsep.errors import DependencyError

__all__ = ["torchaudio"]

_CUDA = re.compile(r"PyTorch has CUDA version (\d+)\.\d+ .*TorchAudio has CUDA version (\d+)\.\d+")


@functools.cache
def torchaudio() -> ModuleType:
    """The torchaudio package.

    Raises:
        DependencyError: torchaudio is missing, or was built for another torch.
    """
    try:
        try:
            return importlib.import_module("torchaudio")
        except RuntimeError as error:
            if not _differs_in_the_minor_version_of_cuda(error):
                raise
            return _past_its_check()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        import torch

        raise DependencyError(
            f"torchaudio cannot be imported beside torch {torch.__version__}: {error}. torchaudio "
            "2.11 fits torch 2.11 and newer, an older one the torch of its own number, both for "
            "the CPU or for the same CUDA; for example: "
            'pip install --force-reinstall "torch>=2.11" "torchaudio>=2.11"'
        ) from error


def _differs_in_the_minor_version_of_cuda(error: RuntimeError) -> bool:
    found = _CUDA.search(str(error))
    return found is not None and found[1] == found[2]


def _past_its_check() -> ModuleType:
    """torchaudio, without its check that torch has the same minor version of CUDA.

    Minor versions of CUDA are compatible, and only the parts of torchaudio that are written in
    Python are used here. torchaudio 2.11.0, the last release, refuses them anyway, which upstream
    has relaxed since: https://github.com/pytorch/audio/pull/4226.
    """
    # The import that failed has left this module; the next one takes the check from it.
    utils = sys.modules.get("torchaudio._extension.utils")
    if utils is None:
        raise ImportError("torchaudio checks the version of CUDA in an unknown place")
    vars(utils)["_check_cuda_version"] = lambda: None
    return importlib.import_module("torchaudio")
