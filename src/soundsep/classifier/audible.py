"""The windows of a clip that count, at the level that the classifier asks for."""

from __future__ import annotations

from torch import Tensor

from soundsep.audio.level import raised, raising_gain
from soundsep.audio.silence import is_silent
from soundsep.audio.windows import split_windows
from soundsep.classifier.protocol import ClassifierLike

__all__ = ["audible_windows", "clip_gain", "clip_windows"]


def clip_gain(classifier: ClassifierLike, waveform: Tensor) -> float:
    """Factor that brings a clip to the level that the classifier asks for; 1 if it asks for none.

    Shape:
        waveform: (time,).
    """
    # A class of one's own need not know of levels.
    wanted: float | None = getattr(classifier.config, "clip_level_db", None)
    if wanted is None:
        return 1.0
    return raising_gain(waveform, wanted, sample_rate=classifier.sample_rate)


def audible_windows(
    classifier: ClassifierLike,
    waveform: Tensor,
    silence_db: float | None = None,
    *,
    gain: float | None = None,
) -> list[Tensor]:
    """The windows of a clip that are not silent, at the level that the classifier asks for.

    Silence is judged before the clip is raised.

    Args:
        classifier: The model.
        waveform: The clip, or a source of one.
        silence_db: Level below which a window is silent; digital silence always is.
        gain: For a source, the `clip_gain` of the recording, so that sources keep their levels
            among each other; by default that of the waveform.

    Shape:
        waveform: (time,). Returns tensors (window,).
    """
    windows = _cut(classifier, waveform)
    audible = [not is_silent(window, silence_db) for window in windows]
    if not any(audible):
        return []
    if gain is None:
        gain = clip_gain(classifier, waveform)
    if gain > 1:
        windows = _cut(classifier, raised(waveform, gain))
    return [window for window, is_heard in zip(windows, audible, strict=True) if is_heard]


def clip_windows(
    classifier: ClassifierLike, waveform: Tensor, *, gain: float | None = None
) -> list[Tensor]:
    """The `audible_windows` of a clip, or all if it is nothing but digital silence.

    Shape:
        waveform: (time,). Returns tensors (window,).
    """
    return audible_windows(classifier, waveform, gain=gain) or _cut(classifier, waveform)


def _cut(classifier: ClassifierLike, waveform: Tensor) -> list[Tensor]:
    config = classifier.config
    return split_windows(
        waveform, window=config.window_samples, hop=config.hop_samples, padding=config.padding
    )
