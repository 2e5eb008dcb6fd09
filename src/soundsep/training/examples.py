"""Clips for training: a waveform and the index of its class, which is the only one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from soundsep.audio.silence import is_silent
from soundsep.datasets import Clip
from soundsep.datasets.subsets import of_several_labels
from soundsep.digests import digest
from soundsep.errors import ConfigError, DatasetError, ShapeError
from soundsep.names import printable

__all__ = ["Example", "check_examples", "check_one_label", "examples_digest", "note_silent"]

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


def check_one_label(clips: Sequence[Clip], labels: Sequence[str], *, what: str, hint: str) -> None:
    """Refuse clips of several labels, to which the scores of a softmax cannot do justice.

    Learnt under one label, a clip would teach that the others are absent; calibrated for one,
    its scores would be too low for an answer that may be any.

    Args:
        clips: Clips to learn from.
        labels: Names of the classes.
        what: Name of the learner, in the message.
        hint: Alternative for the user, in the message.

    Raises:
        ConfigError: a clip holds several of the labels.
    """
    if several := of_several_labels(clips, labels):
        first = several[0]
        raise ConfigError(
            f"{what} learns classes of which exactly one applies, but {len(several)} of "
            f"{len(clips)} clips hold several, such as {printable(str(first.audio))}: "
            f"{' and '.join((first.label, *first.also))}; leave such clips out, or {hint}"
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


def note_silent(clips: Sequence[Clip], examples: Sequence[Example]) -> list[str]:
    """A note on the clips without any sound, which no model is ever asked to name.

    Args:
        clips: Clips to learn from.
        examples: The waveform of each.
    """
    loaded = zip(clips, examples, strict=True)
    silent = [clip.audio for clip, (waveform, _) in loaded if is_silent(waveform)]
    if not silent:
        return []
    return [
        f"{len(silent)} of {len(clips)} training clips are digital silence, from which there is "
        f"nothing to learn, such as {silent[0]}; remove them"
    ]
