"""Clips for training: a waveform and the index of its class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from soundsep.errors import DatasetError, ShapeError
from soundsep.files import digest

__all__ = ["Example", "check_examples", "examples_digest"]

Example = tuple[Tensor, int]  # waveform (time,) at the recipe's rate, index of its class


def check_examples(examples: Sequence[Example], *, n_labels: int) -> None:
    """Refuse clips that cannot be trained on.

    Args:
        examples: Waveforms and indices of their classes.
        n_labels: Number of classes.

    Raises:
        DatasetError: a target is not that of a label.
        ShapeError: a waveform is not (time,) in float32, or holds no samples.
    """
    for index, (waveform, target) in enumerate(examples):
        if not 0 <= target < n_labels:
            raise DatasetError(f"clip {index}: target {target} is not one of {n_labels} labels")
        is_tensor = isinstance(waveform, Tensor) and waveform.dtype == torch.float32
        if not is_tensor or waveform.ndim != 1 or not len(waveform):
            raise ShapeError(
                f"clip {index}: expected a tensor (time,) in float32, got a "
                f"{type(waveform).__name__} {tuple(getattr(waveform, 'shape', ()))} in "
                f"{getattr(waveform, 'dtype', 'no dtype')}"
            )


def examples_digest(examples: Sequence[Example]) -> str:
    """A hash of clips and targets, 64 hex digits; a run resumes only with the same.

    Args:
        examples: Waveforms and indices of their classes.
    """
    parts: list[str | Tensor] = []
    for waveform, target in examples:
        parts += (f"{target} {len(waveform)} ", waveform)
    return digest(*parts)
