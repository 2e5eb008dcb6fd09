"""Metrics of events: sounds with a label, a start and an end, compared with the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from soundsep.errors import ConfigError
from soundsep.metrics.matching import LabelledSpan, match_by_collar, match_by_overlap

__all__ = ["EventMetrics", "F1Score", "event_metrics"]


@dataclass(frozen=True, kw_only=True, slots=True)
class F1Score:
    """Precision, recall and F1 from counts; a share of nothing is 1.

    Attributes:
        n_hits: Number of true ones that were found.
        n_true: Number of true ones.
        n_found: Number of those found, right or wrong.

    Examples:
        >>> F1Score(n_hits=2, n_true=4, n_found=3).recall
        0.5
    """

    n_hits: int = 0
    n_true: int = 0
    n_found: int = 0

    @property
    def precision(self) -> float:
        """Share of those found that are right."""
        return self.n_hits / self.n_found if self.n_found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true ones that were found."""
        return self.n_hits / self.n_true if self.n_true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        n_both = self.n_true + self.n_found
        return 2 * self.n_hits / n_both if n_both else 1.0

    def __add__(self, other: F1Score) -> F1Score:
        """The sum of both counts."""
        return F1Score(
            n_hits=self.n_hits + other.n_hits,
            n_true=self.n_true + other.n_true,
            n_found=self.n_found + other.n_found,
        )

    def to_dict(self) -> dict[str, float]:
        """The three shares and the three counts, ready for JSON."""
        shares = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {**{name: round(share, 6) for name, share in shares.items()}, **asdict(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class EventMetrics:
    """Metrics of the events found in some recordings.

    Attributes:
        n_recordings: Number of recordings.
        hours: Total length of the recordings.
        collar: Events whose start is within 1 s, and whose end within 1 s or a fifth of the true
            length, of a true event of their label; one to one.
        collar_200ms: As ``collar``, within 200 ms, as DCASE counts.
        overlap: Events that overlap a true one of their label; one to one.
        labels: Labels of each recording, at any time.
        error_rate: Substitutions, deletions and insertions by the 1 s collar, per true event.
        psds1: Polyphonic sound detection score of scenario 1, which rewards exact times; ``None``
            if it was not requested.
        psds2: Score of scenario 2, which punishes confused labels.

    References:
        Mesaros et al. (2016), "Metrics for polyphonic sound event detection", Applied Sciences 6.
        Bilen et al. (2020), "A framework for the robust evaluation of sound event detection".
    """

    n_recordings: int
    hours: float
    collar: F1Score
    collar_200ms: F1Score
    overlap: F1Score
    labels: F1Score
    error_rate: float
    psds1: float | None = None
    psds2: float | None = None

    @property
    def spurious_per_hour(self) -> float:
        """Events found that `overlap` matches with no true one, per hour of recordings."""
        return (self.overlap.n_found - self.overlap.n_hits) / self.hours

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        scores = {
            name: getattr(self, name).to_dict()
            for name in ("collar", "collar_200ms", "overlap", "labels")
        }
        rest = {
            "error_rate": round(self.error_rate, 6),
            "spurious_per_hour": round(self.spurious_per_hour, 3),
            "psds1": self.psds1 and round(self.psds1, 6),
            "psds2": self.psds2 and round(self.psds2, 6),
        }
        return {"n_recordings": self.n_recordings, "hours": round(self.hours, 6), **scores, **rest}

    def __str__(self) -> str:
        """A table of all metrics."""
        rows = {
            "within 1 s": self.collar,
            "within 200 ms": self.collar_200ms,
            "any overlap": self.overlap,
            "labels": self.labels,
        }
        psds = {"PSDS 1": self.psds1, "PSDS 2": self.psds2}
        return "\n".join(
            [
                f"recordings: {self.n_recordings}, {self.hours:.2f} h; "
                f"events: {self.overlap.n_true} true, {self.overlap.n_found} found",
                f"{'':<17}  precision   recall       F1",
                *(
                    f"{name:<17}  {s.precision:>9.1%} {s.recall:>8.1%} {s.f1:>8.3f}"
                    for name, s in rows.items()
                ),
                f"{'error rate':<17}  {self.error_rate:>27.3f}",
                f"{'spurious per hour':<17}  {self.spurious_per_hour:>27.1f}",
                *(f"{name:<17}  {v:>27.3f}" for name, v in psds.items() if v is not None),
            ]
        )


def event_metrics(
    recordings: Iterable[tuple[Sequence[LabelledSpan], Sequence[LabelledSpan]]],
    *,
    seconds: float,
) -> EventMetrics:
    """All metrics but PSDS, which needs scores instead of events.

    Args:
        recordings: True and found events of each recording.
        seconds: Total length of the recordings.

    Raises:
        ConfigError: ``seconds`` is not above 0.
    """
    if not seconds > 0:
        raise ConfigError(f"the recordings must be longer than 0 s, got {seconds}")
    collar = collar_200ms = overlap = labels = F1Score()
    n_recordings = n_errors = 0
    for truth, found in recordings:
        n_recordings += 1
        counts = {"n_true": len(truth), "n_found": len(found)}
        pairs = match_by_collar(truth, found, collar_seconds=1.0)
        collar += F1Score(n_hits=len(pairs), **counts)
        n_errors += _n_errors(truth, found, pairs)
        short = match_by_collar(truth, found, collar_seconds=0.2)
        collar_200ms += F1Score(n_hits=len(short), **counts)
        overlap += F1Score(n_hits=len(match_by_overlap(truth, found)), **counts)
        there, heard = {event.label for event in truth}, {event.label for event in found}
        labels += F1Score(n_hits=len(there & heard), n_true=len(there), n_found=len(heard))
    return EventMetrics(
        n_recordings=n_recordings,
        hours=seconds / 3600,
        collar=collar,
        collar_200ms=collar_200ms,
        overlap=overlap,
        labels=labels,
        error_rate=n_errors / max(1, collar.n_true),
    )


def _n_errors(
    truth: Sequence[LabelledSpan], found: Sequence[LabelledSpan], pairs: Iterable[tuple[int, int]]
) -> int:
    """Substitutions, deletions and insertions; a wrong label at the right time is one error."""
    hits, right = set[int](), set[int]()
    for i, j in pairs:
        hits.add(i)
        right.add(j)
    missed = [event for i, event in enumerate(truth) if i not in hits]
    added = [event for j, event in enumerate(found) if j not in right]
    substituted = match_by_collar(missed, added, collar_seconds=1.0, any_label=True)
    return len(missed) + len(added) - len(substituted)
