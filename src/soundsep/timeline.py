"""What is heard over the time of a recording: frozen results that print well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundsep.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Event", "Gap", "Scores"]


@dataclass(frozen=True, slots=True)
class Event:
    """A sound and when it was heard.

    Attributes:
        start_seconds: From the beginning of the recording.
        end_seconds: Likewise.
        label: What it is.
        score: Highest score of its windows, from 0 to 1.

    Examples:
        >>> print(Event(12.5, 20.0, "dog", 0.912))
           12.50 -    20.00 s  0.912  dog
    """

    start_seconds: float
    end_seconds: float
    label: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {
            "start_seconds": round(self.start_seconds, 4),
            "end_seconds": round(self.end_seconds, 4),
            "label": self.label,
            "score": round(self.score, 6),
        }

    def __str__(self) -> str:
        """One line, of which several stand well below each other."""
        span = f"{self.start_seconds:8.2f} - {self.end_seconds:8.2f} s"
        return f"{span}  {self.score:.3f}  {self.label}"


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a live recording that was lost, because it came faster than it was heard."""

    start_seconds: float
    end_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {
            "start_seconds": round(self.start_seconds, 4),
            "end_seconds": round(self.end_seconds, 4),
            "gap": True,
        }

    def __str__(self) -> str:
        """One line, aligned with those of events."""
        return f"{self.start_seconds:8.2f} - {self.end_seconds:8.2f} s  lost"


@dataclass(frozen=True, kw_only=True, slots=True, repr=False, eq=False)
class Scores:
    """What a model hears in a recording, window by window.

    A window speaks for the hop around its middle; the first from the beginning of the recording,
    the last until its end.

    Attributes:
        values: (n_windows, n_labels), from 0 to 1; all 0 for a window of digital silence.
        start_seconds: Where each window begins, (n_windows,) in float64.
        labels: Names of the columns.
        window_seconds: Length of a window.
        hop_seconds: Step between windows; the last one may follow sooner.
        duration_seconds: Length of the recording.
        source: Path or name of the recording, where it has one.
    """

    values: Tensor
    start_seconds: Tensor
    labels: tuple[str, ...]
    window_seconds: float
    hop_seconds: float
    duration_seconds: float
    source: str | None = None

    def __getitem__(self, label: str) -> Tensor:
        """One label over time, (n_windows,).

        Raises:
            ConfigError: there is no such label.
        """
        if label not in self.labels:
            raise ConfigError(f"there is no label {label!r}; Scores.labels lists them")
        return self.values[:, self.labels.index(label)]

    @property
    def edges_seconds(self) -> Tensor:
        """Where the stretches that the windows speak for begin and end, (n_windows + 1,)."""
        edges = self.start_seconds.new_empty(len(self.start_seconds) + 1)
        edges[1:] = self.start_seconds + (self.window_seconds + self.hop_seconds) / 2
        edges[0], edges[-1] = 0.0, self.duration_seconds
        return edges

    def __repr__(self) -> str:
        """Its size and what stands out."""
        title = self.source or "recording"
        n_windows, n_labels = self.values.shape
        size = f"{n_windows} windows x {n_labels} labels, {self.duration_seconds:.1f} s"
        if not n_windows:
            return f"Scores({title}: {size})"
        best = self.values.amax(dim=0).topk(min(3, n_labels))
        peaks = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        heard = ", ".join(f"{self.labels[index]} {score:.3f}" for index, score in peaks)
        return f"Scores({title}: {size}; highest {heard})"
