"""What a pipeline answers: frozen results that print well and turn into plain dicts."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from soundsep.errors import AudioError

__all__ = ["ClipResult", "Prediction"]

N_PRINTED = 5
BAR_WIDTH = 20


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """One label and its score, from 0 to 1.

    Attributes:
        label: What is heard.
        score: How sure that is.
        heard_in: Where the recording was separated, the source in which it was heard best, or
            ``"mixture"``; else ``None``.
    """

    label: str
    score: float
    heard_in: str | None = None

    def __repr__(self) -> str:
        """The score in three digits, since many are printed at once."""
        where = "" if self.heard_in is None else f", heard_in={self.heard_in!r}"
        return f"Prediction({self.label!r}, {self.score:.3f}{where})"

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        where = {} if self.heard_in is None else {"heard_in": self.heard_in}
        return {"label": self.label, "score": round(self.score, 6), **where}


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ClipResult:
    """The labels of one recording, best first; or, with ``errors="return"``, why there are none.

    Attributes:
        predictions: All labels, or the ``top_k`` asked for, by falling score.
        source: Path or name of the recording, where it has one.
        duration_seconds: Its length.
        error: What was wrong with the recording; ``None`` if nothing was.
        is_known: Whether the best label is meant. It is not where the pipeline was told to name no
            unknown sounds and the best score is too low, nor where all is too soft to be heard.
        sources: The `soundsep.Separation` of the recording, where the pipeline has a separator and
            keeps its audio.

    Examples:
        >>> result = ClipResult(
        ...     predictions=(Prediction("dog", 0.9), Prediction("cat", 0.1)), duration_seconds=2.0
        ... )
        >>> result.label, result.score
        ('dog', 0.9)
        >>> print(result)
        clip, 2.0 s
          dog  0.900  ##################
          cat  0.100  ##
    """

    predictions: tuple[Prediction, ...] = ()
    source: str | None = None
    duration_seconds: float = 0.0
    error: str | None = None
    is_known: bool = True
    sources: Any = field(default=None, compare=False)

    @property
    def best(self) -> Prediction:
        """The prediction with the highest score.

        Raises:
            AudioError: the recording could not be analysed.
        """
        if self.error is not None:
            raise AudioError(self.error)
        if not self.predictions:
            raise AudioError("nothing is to be heard, so there are no predictions")
        return self.predictions[0]

    @property
    def label(self) -> str | None:
        """The best label; ``None`` where the sound is unknown, or nothing is to be heard."""
        if self.error is None and not (self.is_known and self.predictions):
            return None
        return self.best.label

    @property
    def score(self) -> float:
        """The score of the best label; 0 where nothing is to be heard."""
        return self.best.score if self.predictions or self.error is not None else 0.0

    def top(self, k: int) -> tuple[Prediction, ...]:
        """The ``k`` best predictions, or fewer if there are fewer."""
        return self.predictions[: max(0, k)]

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        if self.error is not None:
            return {"source": self.source, "error": self.error}
        return {
            "source": self.source,
            "duration_seconds": round(self.duration_seconds, 3),
            "label": self.label,
            "predictions": [p.to_dict() for p in self.predictions],
        }

    def __str__(self) -> str:
        """A table of the five best labels."""
        return self.table(N_PRINTED)

    def table(self, k: int) -> str:
        """The ``k`` best labels with their scores, a line each."""
        title = self.source or "clip"
        if self.error is not None:
            return f"{title}\n  error: {self.error}"
        shown = self.top(k)
        width = max((len(p.label) for p in shown), default=0)
        rows = (
            f"  {p.label:<{width}}  {p.score:.3f}  "
            + (f"{p.heard_in or '':<8}  " if p.heard_in else "")
            + "#" * round(p.score * BAR_WIDTH)
            for p in shown
        )
        lines = (f"{title}, {self.duration_seconds:.1f} s{self._verdict}", *rows)
        return "\n".join(line.rstrip() for line in lines)

    @property
    def _verdict(self) -> str:
        if self.is_known:
            return ""
        return ": unknown" if self.predictions else ": nothing to be heard"

    def __repr__(self) -> str:
        """Short, since a list of results is often looked at."""
        if self.error is not None:
            return f"ClipResult(source={self.source!r}, error={self.error!r})"
        return f"ClipResult({self.label!r}, {self.score:.3f}, source={self.source!r})"

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        title = html.escape(self.source or "clip")
        if self.error is not None:
            return f"<p><b>{title}</b>: {html.escape(self.error)}</p>"
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(p.label)}</td><td>{p.score:.3f}</td>"
            f"<td><progress max='1' value='{p.score:.3f}'></progress></td></tr>"
            for p in self.top(N_PRINTED)
        )
        caption = f"<caption>{title}, {self.duration_seconds:.1f} s{self._verdict}</caption>"
        head = "<tr><th style='text-align:left'>label</th><th>score</th><th></th></tr>"
        return f"<table>{caption}{head}{rows}</table>"
