"""The one place that imports torchaudio, so that a wrong build gives one clear error."""

from __future__ import annotations

import functools
from types import ModuleType

from soundsep.errors import DependencyError

__all__ = ["torchaudio"]


@functools.cache
def torchaudio() -> ModuleType:
    """The torchaudio package.

    Raises:
        DependencyError: it is missing, or was built for another torch.
    """
    try:
        import torchaudio as module
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        import torch

        raise DependencyError(
            f"torchaudio cannot be imported beside torch {torch.__version__}: {error}. Both must "
            "come from the same build; install a matching pair, for example: "
            'pip install --force-reinstall "torch>=2.6,<2.12" "torchaudio>=2.6,<2.12"'
        ) from error
    checked: ModuleType = module
    return checked
