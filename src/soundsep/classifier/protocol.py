"""What a pipeline requires of a classifier."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["ClassifierLike", "ScoringSettings"]


class ScoringSettings(Protocol):
    """How recordings are cut for a model, and what its scores mean; see `ClassifierConfig`.

    It may have ``clip_level_db`` too; without it clips are heard as they are.
    """

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        ...

    @property
    def hop_seconds(self) -> float:
        """Step between windows."""
        ...

    @property
    def window_samples(self) -> int:
        """Length of a window, in samples."""
        ...

    @property
    def hop_samples(self) -> int:
        """Step between windows, in samples."""
        ...

    @property
    def min_samples(self) -> int:
        """Length of the shortest recording accepted, in samples."""
        ...

    @property
    def window_bytes(self) -> int:
        """Memory that a window needs, at least 1 byte; batches are cut to fit a budget."""
        ...

    @property
    def padding(self) -> Literal["zero", "reflect"]:
        """How a recording shorter than a window is extended."""
        ...

    @property
    def activation(self) -> Literal["softmax", "sigmoid"]:
        """Whether exactly one label applies, or any number."""
        ...

    @property
    def unknown_below(self) -> float | None:
        """Best score below which a sound is unknown."""
        ...

    @property
    def label_thresholds(self) -> tuple[float, ...]:
        """Score of each label at which it counts as present."""
        ...

    @property
    def label_medians(self) -> tuple[float, ...]:
        """Length of each label's median filter over frames, in seconds."""
        ...


@runtime_checkable
class ClassifierLike(Protocol):
    """Anything that scores waveforms: a `Classifier`, an `OnnxClassifier`, or a class of your own.

    A `torch.nn.Module` is put into evaluation mode before it scores. The page "How it works" has an
    example.
    """

    @property
    def config(self) -> ScoringSettings:
        """How recordings are cut, and what the scores mean."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the scores, in order."""
        ...

    @property
    def sample_rate(self) -> int:
        """Rate of the waveforms, in Hz."""
        ...

    @property
    def frame_length(self) -> int | None:
        """Step between frames, in samples; ``None`` if it scores no frames."""
        ...

    def predict(self, waveform: Tensor, /) -> Tensor:
        """Scores from 0 to 1 of windows (batch, time), (batch, n_labels)."""
        ...

    def frame_scores(self, waveform: Tensor, /) -> Tensor:
        """Scores of every frame, (batch, n_frames, n_labels); only called if there are frames."""
        ...
