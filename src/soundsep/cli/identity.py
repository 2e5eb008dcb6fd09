"""Which model made a result, whatever its name was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from torch import nn

from soundsep.digests import digest, named_parts

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["weights_of"]

N_DIGITS = 12


def weights_of(*models: Any) -> str:
    """The first digits of a hash that differs between models of other settings or weights.

    Args:
        models: Classifiers and separators; ``None`` is none.
    """
    parts: list[str | Tensor] = []
    for model in models:
        if model is not None:
            parts.append(json.dumps(model.config.to_dict(), sort_keys=True))
            network = model if isinstance(model, nn.Module) else model.network
            parts += named_parts(network.state_dict())
    return digest(*parts)[:N_DIGITS]
